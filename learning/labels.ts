import type { Label } from '#schemas/label.ts'

/** What is known of a transaction at the cut-off; `ignored` is neither fraud nor genuine for training. */
export type Known = 'fraud' | 'genuine' | 'silent' | 'ignored'

/**
 * What the labels that had arrived by the cut-off say, one verdict per transaction: a later label corrects an earlier
 * one. A service dispute is not fraud. First-party fraud is ignored for training, since nothing in the event tells it
 * from an honest purchase; it is counted apart.
 */
export class KnownLabels {
  readonly asOfMs: number
  firstPartyCount = 0
  private readonly known = new Map<string, { fraud: Known; knownAtMs: number }>()

  /** @param asOfMs labels that became known later are left out, epoch milliseconds */
  constructor(asOfMs: number) {
    this.asOfMs = asOfMs
  }

  add(label: Label): void {
    if (label.known_at > this.asOfMs) return
    const before = this.known.get(label.transaction_id)
    if (before !== undefined && before.knownAtMs > label.known_at) return
    if (label.fraud && label.type === 'first_party') this.firstPartyCount++
    this.known.set(label.transaction_id, { fraud: meaningOf(label), knownAtMs: label.known_at })
  }

  of(transactionId: string): Known {
    return this.known.get(transactionId)?.fraud ?? 'silent'
  }
}

function meaningOf(label: Label): Known {
  if (!label.fraud || label.type === 'service_dispute') return 'genuine'
  return label.type === 'first_party' ? 'ignored' : 'fraud'
}
