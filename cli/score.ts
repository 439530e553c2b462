import { formatOfFile } from '#infra/event-files/event-format.ts'
import { openEventFile, readEvents } from '#infra/event-files/read-events.ts'
import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Label } from '#schemas/label.ts'
import type { ScoreOptions } from './commands/score.ts'
import type { CommandContext } from './context.ts'
import { FreshPath } from './fresh-path.ts'
import { ScoreDocument, ScoreLines, ScoreTally, summaryText } from './score-output.ts'

const SLICE_ROWS = 256
const STDIN = '-'

/**
 * Transactions in, decisions out as JSON lines, or with `--json` as one document with a summary; a fresh state, and nothing
 * is kept.
 */
export async function runScore(context: CommandContext, file: string, options: ScoreOptions): Promise<number> {
  const { config, io } = context
  const name = file === STDIN ? 'stdin' : file
  const format = options.format ?? (file === STDIN ? 'jsonl' : formatOfFile(file))
  const input = file === STDIN ? io.input : openEventFile(file)
  const told = context.isJson ? new ScoreDocument() : new ScoreLines(io)
  const tally = new ScoreTally()
  const path = await FreshPath.open(context, {
    rows: SLICE_ROWS,
    model: options.model,
    onSlice: (slice) => told.add(tally.take(slice, options.flagged === true)),
  })
  try {
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
    const { champion, rules, layout } = path.runtime
    const summary = {
      ...tally.counts,
      model: champion?.modelVersion ?? null,
      rules: rules.version,
      spec: layout.specName,
    }
    if (told instanceof ScoreDocument) await told.write(io, summary)
    context.logger.info(summaryText(summary))
    return 0
  } finally {
    await path.close()
  }
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
