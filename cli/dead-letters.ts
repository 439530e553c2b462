import { existsSync } from 'node:fs'
import { wallClock } from '#infra/clock.ts'
import { dataPaths } from '#infra/data-folder.ts'
import type { Log } from '#infra/log/log.ts'
import { noMetrics } from '#infra/metrics.ts'
import { openSchemas } from '#infra/schema-registry/open-schemas.ts'
import { maskCardNumbers } from '#schemas/card-number.ts'
import { type Codec, createCodec } from '#schemas/codec.ts'
import type { DeadLetter } from '#schemas/dead-letter.ts'
import type { DeadLettersOptions } from './commands/dead-letters.ts'
import type { CommandContext } from './context.ts'
import { openLog } from './open-log.ts'
import { formatTable } from './table.ts'

/** Where the log keeps a dead letter, and what it says. */
export type FoundDeadLetter = Omit<DeadLetter, 'masked'> & {
  /** Its own place in the topic of dead letters. */
  readonly letter: number
  /** First bytes of the record, as text where they are text and in hexadecimal where not. */
  readonly shown: string
}

/** @throws WeirError of the log */
export async function showDeadLetters(context: CommandContext, options: DeadLettersOptions): Promise<void> {
  const found = await readDeadLetters(context, options)
  const rows = found.map(({ letter, topic, partition, offset, reason, field, detail, size_bytes, shown }) => [
    letter,
    `${topic}/${partition} ${offset}`,
    reason,
    [field, detail].filter((text) => text !== '').join(': '),
    size_bytes,
    shown,
  ])
  const table = formatTable(['letter', 'record', 'reason', 'detail', 'bytes', 'begins with'], rows)
  context.report(found, found.length === 0 ? 'no dead letters\n' : table)
}

async function readDeadLetters(context: CommandContext, options: DeadLettersOptions): Promise<FoundDeadLetter[]> {
  const { config, logger } = context
  const paths = dataPaths(config)
  if (config.log.home === 'file' && !existsSync(paths.log)) return []
  const stop = context.stopSignal()
  const schemas = await openSchemas({ config, clock: wallClock, logger, stop })
  const stillOwner = async (): Promise<boolean> => false
  const home = await openLog({ config, paths, logger, metrics: noMetrics, schemas, stop, isReadOnly: true, stillOwner })
  try {
    return await newestDeadLetters(home.log, createCodec(schemas), config.topics.deadLetters, options)
  } finally {
    await home.close()
  }
}

const READ_ROWS = 1_024

/** The newest letters, oldest first. */
export async function newestDeadLetters(
  log: Log,
  codec: Pick<Codec, 'deadLetter'>,
  topic: string,
  { last, reason }: DeadLettersOptions,
): Promise<FoundDeadLetter[]> {
  const range = (await log.ranges()).find((known) => known.topic === topic && known.partition === 0)
  if (range === undefined) return []
  const reader = log.reader({ topic, partition: 0, offset: range.start })
  try {
    // Offsets may have gaps, and a reason may be rare: further back each time, until there are enough.
    for (let back = last * 2; ; back *= 4) {
      const from = Math.max(range.start, range.end - back)
      reader.seek(from)
      const found: FoundDeadLetter[] = []
      for (let records = await reader.read(READ_ROWS); records.length > 0; records = await reader.read(READ_ROWS)) {
        for (const { offset, value } of records) {
          const { masked, ...letter } = codec.deadLetter.decode(value!)
          if (reason !== undefined && letter.reason !== reason) continue
          found.push({ ...letter, letter: offset, shown: shownOf(masked) })
          if (found.length > last) found.shift()
        }
      }
      if (found.length >= last || from === range.start) return found
    }
  } finally {
    reader.close()
  }
}

const SHOWN_BYTES = 200

function shownOf(masked: Uint8Array): string {
  const bytes = Buffer.from(masked.subarray(0, SHOWN_BYTES))
  const text = bytes.toString('utf8')
  const isText = /^[\P{C}\s]*$/u.test(text) && !text.includes('\uFFFD')
  return isText ? maskCardNumbers(text) : bytes.toString('hex')
}
