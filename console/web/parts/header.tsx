import type { LiveFigures } from '#console/server/live.ts'
import { streamTime } from '../format.ts'
import { connection, figures, helpShown } from '../state.ts'

const STATES = {
  connecting: 'connecting',
  live: 'live',
  lost: 'connection lost, trying again',
  refused: 'token refused: open the address that the command printed',
} as const

export function Header() {
  const now = figures.value
  return (
    <header>
      <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
        <path d="M3 12c4 0 4-4 8-4s4 4 9 4 5-4 9-4M3 20h26M7 20v8m9-8v8m9-8v8" />
      </svg>
      <h1>Weir</h1>
      {now !== null && now.note !== '' && <span class="note">{now.note}</span>}
      <dl class="facts">
        <div>
          <dt>stream</dt>
          <dd>{now === null ? '–' : streamTime(now.streamTimeMs)}</dd>
        </div>
        <div>
          <dt>model</dt>
          <dd title={now?.model.version}>
            {now === null || now.model.version === '' ? 'rules alone' : `${now.model.version} on ${now.model.provider}`}
          </dd>
        </div>
        <div>
          <dt>threshold</dt>
          <dd>{now?.model.threshold?.toFixed(3) ?? '–'}</dd>
        </div>
        <div>
          <dt>rules</dt>
          <dd>{now === null ? '–' : rulesText(now.rules)}</dd>
        </div>
      </dl>
      <span class={`state ${connection.value}`} role="status">
        {STATES[connection.value]}
      </span>
      <button
        type="button"
        aria-label="Keys"
        onClick={() => {
          helpShown.value = !helpShown.value
        }}
      >
        ?
      </button>
    </header>
  )
}

/** Rules that do not match, yet or any more, are said only where there are some. */
function rulesText({ live, shadow, warming, expired }: LiveFigures['rules']): string {
  const asleep = [warming > 0 ? `, ${warming} warming` : '', expired > 0 ? `, ${expired} expired` : ''].join('')
  return `${live} live, ${shadow} shadow${asleep}`
}
