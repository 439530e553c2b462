import { formatOfFile } from '#infra/event-files/event-format.ts'
import { openEventFile, readEvents } from '#infra/event-files/read-events.ts'
import { ACCEPTED, type Explained, REJECTED } from '#pipeline/slice.ts'
import type { Codec } from '#schemas/codec.ts'
import { isFlagged, VERDICTS } from '#schemas/decision.ts'
import { LABEL } from '#schemas/event-columns.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Label } from '#schemas/label.ts'
import type { ScoreOptions } from './commands/score.ts'
import type { CommandContext } from './context.ts'
import { decisionJson } from './decision-json.ts'
import { FreshPath } from './fresh-path.ts'

const SLICE_ROWS = 256
const STDIN = '-'

/** Transactions in, decisions out as JSON lines: a fresh state, and nothing is kept. */
export async function runScore(context: CommandContext, file: string, options: ScoreOptions): Promise<number> {
  const { config, io } = context
  const name = file === STDIN ? 'stdin' : file
  const format = options.format ?? (file === STDIN ? 'jsonl' : formatOfFile(file))
  const input = file === STDIN ? io.input : openEventFile(file)
  const counts = { decisions: 0, rejected: 0 }
  const path = await FreshPath.open(context, {
    rows: SLICE_ROWS,
    model: options.model,
    onSlice: (slice) => write(context, slice, options.flagged === true, counts),
  })
  const { codec } = path.runtime
  const labels = options.labels === undefined ? [] : await readLabels(options.labels, codec)
  const stop = context.stopSignal()
  let next = 0
  for await (const batch of readEvents({ input, format, name, codec })) {
    if (stop.aborted) break
    for (const event of batch) {
      if (event.kind === 'problem') throw badInput(event)
      if (event.kind === 'label') {
        await path.put(config.topics.labels, codec.label.encode(event.label))
        continue
      }
      while (next < labels.length && labels[next]!.known_at <= event.transaction.event_time) {
        await path.put(config.topics.labels, codec.label.encode(labels[next++]!))
      }
      await path.put(config.topics.transactions, codec.transaction.encode(event.transaction))
    }
    // Whoever types or pipes slowly should see each answer.
    if (file === STDIN) await path.flush()
  }
  await path.flush()
  await path.close()
  context.logger.info(`${counts.decisions} decisions, ${counts.rejected} records not accepted`)
  return 0
}

async function write(
  context: CommandContext,
  slice: Explained,
  isFlaggedOnly: boolean,
  counts: { decisions: number; rejected: number },
): Promise<void> {
  let lines = ''
  for (let row = 0; row < slice.count; row++) {
    if (slice.outcome[row] === REJECTED) {
      const { reason, field, detail } = slice.rejection[row]!
      counts.rejected++
      lines += `${JSON.stringify({ rejected: reason, field, detail, record: slice.offset[row]! + 1 })}\n`
    }
    if (slice.outcome[row] !== ACCEPTED || slice.events.kind[row] === LABEL) continue
    counts.decisions++
    if (isFlaggedOnly && !isFlagged(VERDICTS[slice.verdict[row]!]!)) continue
    lines += `${JSON.stringify(decisionJson(slice, row))}\n`
  }
  if (lines !== '') await context.io.outBytes(Buffer.from(lines))
}

async function readLabels(file: string, codec: Codec): Promise<Label[]> {
  const labels: Label[] = []
  for await (const batch of readEvents({ input: openEventFile(file), format: formatOfFile(file), name: file, codec })) {
    for (const event of batch) {
      if (event.kind === 'problem') throw badInput(event)
      if (event.kind === 'label') labels.push(event.label)
    }
  }
  return labels.sort((a, b) => a.known_at - b.known_at)
}

function badInput(event: { readonly field: string; readonly problem: string; readonly where: string }): WeirError {
  const field = event.field === '' ? '' : `field ${event.field}: `
  return new WeirError('INPUT_INVALID', `${field}${event.problem}`, { where: event.where })
}
