import { basisPoints, count, millis, money } from '../format.ts'
import { figures } from '../state.ts'

interface Tile {
  readonly name: string
  readonly value: string
  readonly detail: string
  readonly strong?: boolean
  readonly warn?: boolean
}

/** Money first, then the stream, then the machine. */
export function Tiles() {
  const now = figures.value
  if (now === null) return <section class="tiles empty">Waiting for the first figures …</section>
  const tiles: readonly Tile[] = [
    {
      name: 'Flagged',
      value: money(now.amountFlagged, now.currency),
      detail: `${basisPoints(now.amountFlagged, now.amountTotal)} of ${money(now.amountTotal, now.currency)}`,
      strong: true,
    },
    { name: 'Declined', value: money(now.amountDeclined, now.currency), detail: 'stopped before the money left' },
    {
      name: 'Alerts',
      value: count(now.alertsTotal),
      detail: now.eventsTotal === 0 ? '–' : `1 in ${count(now.eventsTotal / Math.max(1, now.alertsTotal))} events`,
    },
    { name: 'Events', value: count(now.eventsTotal), detail: `${count(now.eventsPerSecond)} a second` },
    {
      name: 'Latency',
      value: `${millis(now.latencyP50Ms)} ms`,
      detail: `p99 ${millis(now.latencyP99Ms)} ms, slice taken to durable`,
    },
    {
      name: 'Recorded',
      value: count(now.rowsRecorded),
      detail: now.recorderLagLines <= 1 ? 'ClickHouse is up to date' : `${count(now.recorderLagLines)} lines behind`,
    },
    {
      name: 'Labels',
      value: count(now.labelsTotal),
      detail: 'verdicts, reports, chargebacks',
    },
    {
      name: 'Not accepted',
      value: count(now.deadLettersTotal),
      detail: `dead letters, and ${count(now.repeatedTotal)} repeats`,
      warn: now.deadLettersTotal > 0,
    },
  ]
  return (
    <section class="tiles" aria-label="Figures">
      {tiles.map((tile) => (
        <article key={tile.name} class={tile.strong ? 'strong' : tile.warn ? 'warn' : ''}>
          <h2>{tile.name}</h2>
          <p class="value">{tile.value}</p>
          <p class="detail">{tile.detail}</p>
        </article>
      ))}
    </section>
  )
}
