import { helpShown, opened, selected, shownAlerts } from './state.ts'

/** j and k move, Enter opens, Escape closes, ? shows the keys. */
export function listenToKeys(target: Document): void {
  target.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const last = shownAlerts.value.length - 1
    switch (event.key) {
      case 'j':
      case 'ArrowDown':
        selected.value = Math.min(last, selected.value + 1)
        break
      case 'k':
      case 'ArrowUp':
        selected.value = Math.max(0, selected.value - 1)
        break
      case 'Enter':
      case 'o': {
        const alert = shownAlerts.value[selected.value]
        if (alert !== undefined) opened.value = opened.value === alert.alert_id ? null : alert.alert_id
        break
      }
      case 'Escape':
        opened.value = null
        helpShown.value = false
        break
      case '?':
        helpShown.value = !helpShown.value
        break
      default:
        return
    }
    event.preventDefault()
    target.querySelector('tr[aria-selected="true"]')?.scrollIntoView({ block: 'nearest' })
  })
}
