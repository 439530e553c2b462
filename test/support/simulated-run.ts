import type { Label } from '#schemas/label.ts'
import { baseFactors } from '#schemas/rates.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { Simulator, type SimulatorOptions, type Truth } from '#simulator/simulator.ts'

export interface Arrived {
  readonly transaction: Transaction
  readonly truth: Truth | null
  readonly arrivedMs: number
  readonly isRepeat: boolean
  /** Minor units of the base currency, at the rates of the day. */
  readonly amountBase: number
}

export interface SimulatedRun {
  readonly simulator: Simulator
  /** In order of arrival, repeats included. */
  readonly arrivals: readonly Arrived[]
  readonly labels: readonly Label[]
  /** Authorizations, each once, with their truth. */
  readonly authorizations: readonly (Arrived & { readonly truth: Truth })[]
}

/** Lets a simulated world run for so many transactions and keeps everything. */
export function runSimulator(options: SimulatorOptions, transactions: number): SimulatedRun {
  const simulator = new Simulator(options)
  const arrivals: Arrived[] = []
  const labels: Label[] = []
  const seen = new Set<string>()
  while (arrivals.length < transactions) {
    const item = simulator.next()
    if (item.kind === 'label') {
      labels.push(item.label)
      continue
    }
    const { transaction, truth } = item
    const isRepeat = seen.has(transaction.transaction_id)
    seen.add(transaction.transaction_id)
    const amountBase = transaction.amount * baseFactors(simulator.rates).get(transaction.currency)!
    arrivals.push({ transaction, truth, arrivedMs: simulator.clockMs, isRepeat, amountBase })
  }
  const authorizations = arrivals.filter(
    (arrived): arrived is Arrived & { truth: Truth } =>
      arrived.transaction.kind === 'authorization' && !arrived.isRepeat && arrived.truth !== null,
  )
  return { simulator, arrivals, labels, authorizations }
}

/** Area under the ROC curve of `scores` for `isPositive`; ties count half. 0.5 when one class is missing. */
export function areaUnderCurve(scores: ArrayLike<number>, isPositive: ArrayLike<boolean>): number {
  const order = Uint32Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[a]! - scores[b]!)
  let positives = 0
  let rankSum = 0
  for (let from = 0; from < order.length; ) {
    let to = from
    while (to < order.length && scores[order[to]!] === scores[order[from]!]) to++
    const rank = (from + 1 + to) / 2
    for (let i = from; i < to; i++) {
      if (!isPositive[order[i]!]) continue
      positives++
      rankSum += rank
    }
    from = to
  }
  const negatives = order.length - positives
  return positives === 0 || negatives === 0
    ? 0.5
    : (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives)
}
