import { ACCEPTED, type Explained } from '#pipeline/slice.ts'
import { isFlagged, VERDICTS } from '#schemas/decision.ts'
import { AUTHORIZATION } from '#schemas/event-columns.ts'
import { Simulator, type Truth } from '#simulator/simulator.ts'
import type { SimulateOptions } from '../commands/simulate.ts'
import type { CommandContext } from '../context.ts'
import { DemoSummary } from '../demo-summary.ts'
import { FreshPath } from '../fresh-path.ts'

const SLICE_ROWS = 1_024
const EVENTS = 10_000
const FIRST_DAY_MS = Date.UTC(2025, 0, 1)

/** Decides a simulated stream with a fresh state, keeps nothing, and says what was found. */
export async function simulateIntoPath(context: CommandContext, options: SimulateOptions): Promise<number> {
  const total = options.events ?? EVENTS
  const simulator = new Simulator({
    preset: options.preset,
    seed: options.seed,
    startMs: options.from ?? FIRST_DAY_MS,
    totalEvents: total,
    ...(options.view === undefined ? {} : { view: options.view }),
    ...(options.closedLoop === undefined ? {} : { closedLoop: options.closedLoop }),
  })
  const summary = new DemoSummary()
  const truth = new Map<string, Truth>()
  const path = await FreshPath.open(context, {
    rows: SLICE_ROWS,
    model: undefined,
    onSlice: (slice) => judge(slice, truth, summary, simulator),
  })
  const { codec } = path.runtime
  const { topics } = context.config
  const progress = await context.progress('simulate', total, 'events')
  const stop = context.stopSignal()
  const startedMs = performance.now()
  for (let sent = 0; sent < total && !stop.aborted; ) {
    const item = simulator.next()
    if (item.kind === 'label') {
      await path.put(topics.labels, codec.label.encode(item.label))
      continue
    }
    if (item.truth !== null) truth.set(item.transaction.transaction_id, item.truth)
    await path.put(topics.transactions, codec.transaction.encode(item.transaction))
    if (++sent % SLICE_ROWS === 0) progress.update(sent)
  }
  await path.flush()
  await path.close()
  progress.finish()
  const seconds = (performance.now() - startedMs) / 1_000
  const document = {
    events: total,
    eventsPerSecond: Math.round(total / seconds),
    model: path.runtime.champion?.modelVersion ?? null,
    frauds: summary.frauds,
    weir: summary.decided(),
    rulesAlone: summary.rulesAlone(),
    modelAtSameAlerts: summary.modelAtSameAlerts(),
  }
  context.report(document, `${JSON.stringify(document, null, 2)}\n`)
  return 0
}

function judge(slice: Explained, truth: Map<string, Truth>, summary: DemoSummary, simulator: Simulator): void {
  for (let row = 0; row < slice.count; row++) {
    if (slice.outcome[row] !== ACCEPTED || slice.events.kind[row] !== AUTHORIZATION) continue
    const id = slice.events.text.transaction_id.at(row)
    const verdict = VERDICTS[slice.verdict[row]!]!
    simulator.decided(id, verdict === 'decline', isFlagged(verdict) && verdict !== 'decline')
    const known = truth.get(id)
    if (known === undefined || !known.approved) continue
    summary.add({
      fraud: known.fraud,
      amountBase: slice.events.amount_base[row]!,
      flagged: isFlagged(verdict),
      ruleHits: slice.ruleHits[row]!.length,
      score: slice.score[row]!,
    })
    truth.delete(id)
  }
}
