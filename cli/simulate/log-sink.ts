import { dataPaths } from '#infra/data-folder.ts'
import { acquireDataLock } from '#infra/folder-lock.ts'
import { openFileLog } from '#infra/log/file-log.ts'
import type { RecordToAppend } from '#infra/log/log.ts'
import { findService, type ServiceClient } from '#infra/service-client.ts'
import { createTokenizer, loadTokenKey } from '#infra/tokenizer.ts'
import type { Codec } from '#schemas/codec.ts'
import type { Label } from '#schemas/label.ts'
import type { Transaction } from '#schemas/transaction.ts'
import type { CommandContext } from '../context.ts'
import { APPENDED_PARTITION } from '../partitions.ts'
import type { Sink } from './sink.ts'

const BATCH_EVENTS = 2_000
const SERVICE_TIMEOUT_MS = 60_000

/** Into the running service, which decides at once; where none runs, into the log, to be decided by the next one. */
export async function createLogSink(context: CommandContext, codec: Codec): Promise<Sink> {
  const service = await findService(context.config.dataFolder, { timeoutMs: SERVICE_TIMEOUT_MS })
  return service === null ? await createFileLogSink(context, codec) : createServiceSink(service)
}

interface Submitted {
  readonly accepted: number
  readonly repeated: number
  readonly rejected: readonly unknown[]
}

function createServiceSink(service: ServiceClient): Sink {
  let transactions: Transaction[] = []
  let labels: Label[] = []
  const total = { accepted: 0, repeated: 0, rejected: 0 }

  async function send(path: string, events: readonly unknown[]): Promise<void> {
    if (events.length === 0) return
    const { accepted, repeated, rejected } = (await service.postLines(path, events)) as Submitted
    total.accepted += accepted
    total.repeated += repeated
    total.rejected += rejected.length
  }

  async function flush(): Promise<void> {
    await send('/v1/transactions', transactions)
    await send('/v1/labels', labels)
    transactions = []
    labels = []
  }

  return {
    async transaction(transaction) {
      if (transactions.push(transaction) + labels.length >= BATCH_EVENTS) await flush()
    },
    async label(label) {
      if (labels.push(label) + transactions.length >= BATCH_EVENTS) await flush()
    },
    async finish() {
      await flush()
      return { service: service.address.url, ...total }
    },
    abandon: async () => {},
  }
}

async function createFileLogSink(context: CommandContext, codec: Codec): Promise<Sink> {
  const { config, io } = context
  const paths = dataPaths(config)
  const lock = acquireDataLock(paths.folder, { pid: process.pid, command: 'simulate', since: io.now() })
  try {
    const tokenizer = createTokenizer(loadTokenKey(paths.tokenKeyFile))
    const log = await openFileLog({
      folder: paths.log,
      segmentBytesMax: config.log.segmentBytesMax,
      retentionMs: config.log.retentionDays * DAY_MS,
      clock: { now: io.now },
    })
    let records: RecordToAppend[] = []
    const flush = async (): Promise<void> => {
      await log.append(records)
      records = []
    }
    const put = async (topic: string, key: string, value: Buffer): Promise<void> => {
      records.push({ topic, partition: APPENDED_PARTITION, key: Buffer.from(key), value })
      if (records.length >= BATCH_EVENTS) await flush()
    }
    const close = async (): Promise<void> => {
      await log.close()
      lock.release()
    }
    return {
      async transaction(from) {
        const transaction = tokenizer.transaction(from)
        await put(config.topics.transactions, transaction.card_id, codec.transaction.encode(transaction))
      },
      async label(from) {
        const label = tokenizer.label(from)
        await put(config.topics.labels, label.card_id, codec.label.encode(label))
      },
      async finish() {
        await flush()
        await close()
        return { log: paths.log }
      },
      abandon: close,
    }
  } catch (error) {
    lock.release()
    throw error
  }
}

const DAY_MS = 86_400_000
