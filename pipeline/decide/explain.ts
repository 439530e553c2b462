import type { Alert, Reason } from '#schemas/decision.ts'
import { type AsyncStage, type Decided, type Explained, reached } from '../slice.ts'

/** Model reasons for a frozen input: `[K * H]` with its length, and `[F]`. */
export type ExplainInput = (history: Float32Array, length: number, current: Float32Array) => Promise<readonly Reason[]>

export interface Explain extends AsyncStage<Decided, Explained> {
  /** Follows the champion; null: nothing to explain. */
  setExplainer(explain: ExplainInput | null): void
}

/**
 * Adds the model's reasons to the few alerts of a slice with the most to lose; the others are explained from their frozen
 * input when somebody looks, and so is one whose explanation failed.
 */
export function createExplain(first: ExplainInput | null, maxPerSlice: number): Explain {
  let explainer = first

  async function explain(slice: Decided): Promise<Explained> {
    if (explainer === null || slice.alerts.length === 0) return reached(slice)
    const chosen = slice.alerts
      .map((alert, at) => ({ at, alert }))
      .filter(({ alert }) => alert.score !== null)
      .sort((a, b) => b.alert.expected_loss - a.alert.expected_loss || a.at - b.at)
      .slice(0, maxPerSlice)
    for (const { at, alert } of chosen) {
      try {
        const reasons = await explainer(floatsOf(alert.history), alert.history_length, floatsOf(alert.current))
        slice.alerts[at] = { ...alert, reasons: [...alert.reasons, ...reasons], explained: true }
      } catch {
        // Reasons can still be had from the frozen input; a verdict does not wait for them.
      }
    }
    return reached(slice)
  }

  return Object.assign(explain, {
    setExplainer(next: ExplainInput | null): void {
      explainer = next
    },
  })
}

/** The floats of an alert's frozen input. */
export function floatsOf(bytes: Alert['history']): Float32Array {
  return new Float32Array(new Uint8Array(bytes).buffer)
}
