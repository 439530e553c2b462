import type { LiveAlert } from '../../server/live.ts'
import { clockTime, money, shortId } from '../format.ts'
import { figures, hovering, opened, selected, shownAlerts } from '../state.ts'

/** The newest alerts, each with why. The table stands still while the pointer rests on it or a row is open. */
export function AlertTable() {
  const alerts = shownAlerts.value
  const currency = figures.value?.currency ?? 'EUR'
  return (
    <section
      class="alerts"
      aria-label="Newest alerts"
      onMouseEnter={() => {
        hovering.value = true
      }}
      onMouseLeave={() => {
        hovering.value = false
      }}
    >
      <h2>
        Newest alerts
        {(hovering.value || opened.value !== null) && <span class="paused">paused</span>}
      </h2>
      {alerts.length === 0 ? (
        <p class="empty">Nothing has been flagged yet.</p>
      ) : (
        <table>
          <thead>
            <tr>
              <th>Time</th>
              <th class="number">Amount</th>
              <th>Verdict</th>
              <th>Score</th>
              <th>Why</th>
              <th>Merchant</th>
              <th>Card</th>
            </tr>
          </thead>
          <tbody>
            {alerts.map((alert, i) => (
              <AlertRows key={alert.alert_id} alert={alert} at={i} currency={currency} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}

function AlertRows({ alert, at, currency }: { alert: LiveAlert; at: number; currency: string }) {
  const isOpen = opened.value === alert.alert_id
  return (
    <>
      <tr
        aria-selected={selected.value === at}
        aria-expanded={isOpen}
        onClick={() => {
          selected.value = at
          opened.value = isOpen ? null : alert.alert_id
        }}
      >
        <td class="faint">{clockTime(alert.event_time)}</td>
        <td class="number">{money(alert.amount_base, currency)}</td>
        <td>
          <span class={`verdict ${alert.verdict}`}>{alert.verdict}</span>
        </td>
        <td>
          <Score value={alert.score} />
        </td>
        <td class="why">{alert.reasons[0]?.text ?? 'score above the threshold'}</td>
        <td class="id" title={alert.merchant_id}>
          {shortId(alert.merchant_id)}
        </td>
        <td class="id" title={alert.card_id}>
          {shortId(alert.card_id)}
        </td>
      </tr>
      {isOpen && (
        <tr class="reasons">
          <td colSpan={7}>
            <Reasons alert={alert} currency={currency} />
          </td>
        </tr>
      )}
    </>
  )
}

function Score({ value }: { value: number | null }) {
  if (value === null) return <span class="faint">rules</span>
  return (
    <span class="score">
      <meter min={0} max={1} value={value} aria-label="score" />
      {value.toFixed(3)}
    </span>
  )
}

function Reasons({ alert, currency }: { alert: LiveAlert; currency: string }) {
  const strongest = Math.max(0.01, ...alert.reasons.map((reason) => Math.abs(reason.weight)))
  return (
    <div>
      <p class="faint">
        Expected loss {money(alert.expected_loss, currency)} · alert {alert.alert_id}
      </p>
      <ul>
        {alert.reasons.map((reason) => (
          <li key={reason.source + reason.code + reason.text}>
            <span class={`source ${reason.source}`}>{reason.source}</span>
            <span class="text">{reason.text}</span>
            {reason.source === 'model' && (
              <span class="weight" title={`${reason.weight.toFixed(2)} log odds`}>
                <i
                  class={reason.weight < 0 ? 'against' : ''}
                  style={{ width: `${(Math.abs(reason.weight) / strongest) * 100}%` }}
                />
              </span>
            )}
          </li>
        ))}
      </ul>
    </div>
  )
}
