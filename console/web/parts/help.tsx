import { helpShown } from '../state.ts'

const KEYS = [
  ['j  k', 'next and previous alert'],
  ['Enter', 'open or close an alert'],
  ['Esc', 'close'],
  ['?', 'show these keys'],
] as const

export function Help() {
  if (!helpShown.value) return null
  return (
    <dialog open class="help" aria-label="Keys">
      <h2>Keys</h2>
      <dl>
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </dialog>
  )
}
