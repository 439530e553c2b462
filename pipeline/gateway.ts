import type { Tokenizer } from '#infra/tokenizer.ts'
import type { Codec } from '#schemas/codec.ts'
import type { Decision } from '#schemas/decision.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'
import { Hash64 } from '#schemas/hash64.ts'
import type { Label } from '#schemas/label.ts'
import type { Transaction } from '#schemas/transaction.ts'
import type { Provisional, ProvisionalDecision } from './decide/provisional.ts'
import type { Requests, Settled } from './intake.ts'
import type { Topics } from './topics.ts'

export type InputEvent =
  | { readonly transaction: Transaction; readonly label?: undefined }
  | { readonly label: Label; readonly transaction?: undefined }

/** What a caller of `score` is told. */
export type ScoreAnswer =
  | { readonly kind: 'decided'; readonly decision: Decision; readonly repeated: boolean }
  | { readonly kind: 'rejected'; readonly reason: string; readonly field: string; readonly detail: string }
  /** The id was used before for another transaction. */
  | { readonly kind: 'conflict' }
  /** The queue is full: nothing was taken. */
  | { readonly kind: 'busy' }
  /** Taken, but not decided in time; the decision follows on the log. */
  | { readonly kind: 'late' }
  /** The same, with what rules and lists say meanwhile. */
  | { readonly kind: 'provisional'; readonly decision: ProvisionalDecision }

/** Requests that wait for their decision. */
export interface Waiting {
  readonly requests: number
  /** How long the oldest of them has waited, milliseconds; 0 where none waits. */
  readonly oldestMs: number
}

export interface SubmitAnswer {
  readonly accepted: number
  readonly repeated: number
  readonly rejected: readonly {
    readonly index: number
    readonly reason: string
    readonly field: string
    readonly detail: string
  }[]
}

export interface GatewayDeps {
  readonly intake: Requests
  readonly codec: Codec
  readonly tokenizer: Tokenizer
  readonly topics: Topics
  /** Decisions kept in memory to answer repeats from. */
  readonly recentMax: number
  /** Looks an older decision up by transaction id; null when it is not known there. */
  readonly findDecision: (transactionId: string) => Promise<Decision | null>
  /** Answers in place of a decision that is late; absent: nobody does. */
  readonly provisional?: Provisional
}

/** The door for requests: card numbers are replaced before anything is queued, and repeats get the stored decision. */
export class Gateway {
  private readonly deps: GatewayDeps
  private readonly recent = new Map<string, { readonly content: string; readonly decision: Decision }>()
  private readonly hash = new Hash64()
  /** Since when each waits, oldest first. */
  private readonly waits = new Set<{ readonly sinceMs: number }>()

  constructor(deps: GatewayDeps) {
    this.deps = deps
  }

  /** Queues the transaction and waits, at most `timeoutMs`, until its decision is durable. */
  async score(input: Transaction, timeoutMs: number): Promise<ScoreAnswer> {
    const transaction = this.deps.tokenizer.transaction(input)
    const value = this.encode({ transaction })
    const content = this.contentOf(value)
    const known = this.recent.get(transaction.transaction_id)
    if (known !== undefined) {
      if (known.content !== content) return { kind: 'conflict' }
      return { kind: 'decided', decision: known.decision, repeated: true }
    }
    const queued = this.queue(this.deps.topics.transactions, transaction.card_id, value)
    if (queued === null) return { kind: 'busy' }
    const settled = await this.wait(queued, timeoutMs)
    return settled === null ? this.lateAnswer(value) : this.answer(transaction, content, settled)
  }

  /** @param nowMs as of `performance.now()` */
  waiting(nowMs: number): Waiting {
    for (const { sinceMs } of this.waits) return { requests: this.waits.size, oldestMs: nowMs - sinceMs }
    return { requests: 0, oldestMs: 0 }
  }

  /** Queues many events and resolves when all are durable; waits for room, so a fast producer is slowed down. */
  async submit(events: readonly InputEvent[]): Promise<SubmitAnswer> {
    const { intake, tokenizer, topics } = this.deps
    const settled: Promise<Settled>[] = []
    for (const event of events) {
      const isLabel = event.label !== undefined
      const value = isLabel
        ? this.encode({ label: tokenizer.label(event.label) })
        : this.encode({ transaction: tokenizer.transaction(event.transaction) })
      const topic = isLabel ? topics.labels : topics.transactions
      const key = (isLabel ? event.label : event.transaction).card_id
      let queued = this.queue(topic, key, value)
      while (queued === null) {
        await intake.room()
        queued = this.queue(topic, key, value)
      }
      queued.catch(() => {})
      settled.push(queued)
    }
    return summarize(await Promise.all(settled))
  }

  private async wait(queued: Promise<Settled>, timeoutMs: number): Promise<Settled | null> {
    const wait = { sinceMs: performance.now() }
    this.waits.add(wait)
    try {
      return await within(queued, timeoutMs)
    } finally {
      this.waits.delete(wait)
    }
  }

  private lateAnswer(value: Buffer): ScoreAnswer {
    const decision = this.deps.provisional?.(value) ?? null
    return decision === null ? { kind: 'late' } : { kind: 'provisional', decision }
  }

  private async answer(transaction: Transaction, content: string, settled: Settled): Promise<ScoreAnswer> {
    const { outcome, reason, field, detail } = settled
    if (outcome === 'rejected') return { kind: 'rejected', reason, field, detail }
    if (outcome === 'accepted') {
      const decision = this.deps.codec.decision.decode(settled.decision!)
      this.remember(transaction.transaction_id, content, decision)
      return { kind: 'decided', decision, repeated: false }
    }
    const known = this.recent.get(transaction.transaction_id)
    const stored = known?.decision ?? (await this.deps.findDecision(transaction.transaction_id))
    if (stored === null) return { kind: 'late' }
    return isSameTransaction(stored.transaction, transaction)
      ? { kind: 'decided', decision: stored, repeated: true }
      : { kind: 'conflict' }
  }

  private queue(topic: string, key: string, value: Buffer): Promise<Settled> | null {
    let settle!: (settled: Settled) => void
    let fail!: (error: unknown) => void
    const settled = new Promise<Settled>((resolve, reject) => {
      settle = resolve
      fail = reject
    })
    return this.deps.intake.push({ topic, key, value, waiter: { settle, fail } }) ? settled : null
  }

  private encode(event: InputEvent): Buffer {
    const { codec } = this.deps
    try {
      return event.label === undefined ? codec.transaction.encode(event.transaction) : codec.label.encode(event.label)
    } catch (error) {
      throw new WeirError('INPUT_INVALID', `cannot be written as Avro: ${messageOf(error).split(':')[0]}`)
    }
  }

  private remember(id: string, content: string, decision: Decision): void {
    if (this.recent.size >= this.deps.recentMax) {
      for (const oldest of this.recent.keys()) {
        this.recent.delete(oldest)
        break
      }
    }
    this.recent.set(id, { content, decision })
  }

  private contentOf(value: Buffer): string {
    return this.hash.ofText(value.toString('latin1')).toHex()
  }
}

/** Same to everybody who would be charged: card, amount, currency, merchant and kind. */
function isSameTransaction(a: Transaction, b: Transaction): boolean {
  return (
    a.card_id === b.card_id &&
    a.amount === b.amount &&
    a.currency === b.currency &&
    a.merchant_id === b.merchant_id &&
    a.kind === b.kind
  )
}

async function within<T>(promise: Promise<T>, timeoutMs: number): Promise<T | null> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), timeoutMs)
  })
  try {
    return await Promise.race([promise, timeout])
  } finally {
    clearTimeout(timer)
  }
}

function summarize(all: readonly Settled[]): SubmitAnswer {
  const rejected = all.flatMap(({ outcome, reason, field, detail }, index) =>
    outcome === 'rejected' ? [{ index, reason, field, detail }] : [],
  )
  const accepted = all.filter(({ outcome }) => outcome === 'accepted').length
  return { accepted, repeated: all.length - accepted - rejected.length, rejected }
}
