import { setTimeout as sleep } from 'node:timers/promises'
import { assetPath } from '#infra/assets.ts'
import { wallClock } from '#infra/clock.ts'
import { createKafkaClient } from '#infra/kafka/client.ts'
import type { RecordToAppend } from '#infra/log/log.ts'
import { openKafkaLog } from '#infra/log/kafka-log.ts'
import { createSilentLogger } from '#infra/logger.ts'
import { noMetrics } from '#infra/metrics.ts'
import { createCodec } from '#schemas/codec.ts'
import { createFileSchemas } from '#schemas/schema-source.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { FRAME_BYTES } from '#schemas/wire-type.ts'
import { Simulator } from '#simulator/simulator.ts'
import {
  EVENTS_PER_ACCOUNT_DAY,
  ID_BASE,
  ID_DIGITS,
  type LoadCommand,
  loadId,
  type LoadOrder,
  type LoadReport,
} from './kafka-load-order.ts'

const REPORT_EVERY_MS = 100
/** Appends that may be under way: beyond it the load waits, and is late. */
const UNDER_WAY_MAX = 32
const TIME_BYTES = 6
const ID_LENGTH = 4 + ID_DIGITS
/** Behind the frame and the length of the id stands the id, then the time. */
const DIGITS_AT = FRAME_BYTES + 1 + 4
const TIME_AT = FRAME_BYTES + 1 + ID_LENGTH

/**
 * Sends transactions at a steady rate as a producer of a payment platform would: keyed by card, in batches, without
 * transactions. Everything but id and time is encoded beforehand, so that the load costs little beside what it loads.
 */
async function main(order: LoadOrder): Promise<void> {
  const pool = makePool(order)
  const log = await openLoadLog(order)
  let rate = 0
  let upTo = Number.POSITIVE_INFINITY
  const stop = new AbortController()
  let made = 0
  let acked = 0
  let underWay = 0
  const report = (isOver: boolean): void => {
    process.send?.({ made, acked, isOver } satisfies LoadReport)
  }
  process.on('disconnect', () => process.exit(0))
  process.on('message', (command: LoadCommand) => {
    if ('stop' in command) stop.abort()
    else ({ rate, upTo } = command)
  })
  const reporting = setInterval(() => report(false), REPORT_EVERY_MS)
  report(false)
  const appends = new Set<Promise<void>>()
  let dueAtMs = performance.now()
  let due = 0
  while (!stop.signal.aborted) {
    await sleep(order.lingerMs)
    const nowMs = performance.now()
    due += ((nowMs - dueAtMs) / 1_000) * rate
    dueAtMs = nowMs
    if (underWay >= UNDER_WAY_MAX) continue
    const count = Math.min(Math.floor(due), upTo - made)
    due = made + count === upTo ? 0 : due - count
    if (count === 0) continue
    const records = pool.take(made, count)
    made += count
    underWay++
    const append = log.append(records).then(() => {
      acked += count
      underWay--
      appends.delete(append)
    })
    appends.add(append)
  }
  await Promise.all(appends)
  clearInterval(reporting)
  report(true)
  await log.close()
  process.disconnect()
}

function nextTransaction(world: Simulator): Transaction {
  for (;;) {
    const item = world.next()
    if (item.kind === 'transaction') return item.transaction
  }
}

interface Pool {
  /** Events from number `from` on. */
  take(from: number, count: number): RecordToAppend[]
}

function makePool(order: LoadOrder): Pool {
  const { accounts, merchants, pool: size, topic, partitions, prefix, startMs } = order
  const { transaction } = createCodec(createFileSchemas(assetPath('schemas/kafka')))
  const world = new Simulator({
    preset: 'default',
    seed: 1,
    startMs: 0,
    accounts,
    merchants,
    eventsPerDay: Math.round(accounts * EVENTS_PER_ACCOUNT_DAY),
  })
  const id = loadId(prefix, 0)
  const partitionOf = new Map<string, number>()
  let lastMs = 0
  const events = Array.from({ length: size }, () => {
    const { event_time: atMs, ...rest } = nextTransaction(world)
    const event = { ...rest, transaction_id: id, event_time: wallClock.now() }
    lastMs = Math.max(lastMs, atMs)
    let partition = partitionOf.get(event.card_id)
    if (partition === undefined) {
      partition = partitionOf.size % partitions
      partitionOf.set(event.card_id, partition)
    }
    return { value: transaction.encode(event), key: Buffer.from(event.card_id), partition, atMs }
  })
  return {
    take(from, count) {
      let bytes = 0
      for (let i = 0; i < count; i++) bytes += events[(from + i) % size]!.value.length
      const all = Buffer.allocUnsafe(bytes)
      const records = new Array<RecordToAppend>(count)
      const nowMs = wallClock.now()
      let at = 0
      for (let i = 0; i < count; i++) {
        const { value, key, partition, atMs } = events[(from + i) % size]!
        all.set(value, at)
        const round = Math.floor((from + i) / size)
        const time = startMs === null ? nowMs : startMs + round * lastMs + atMs
        writeDigits(all, at + DIGITS_AT, from + i)
        writeTime(all, at + TIME_AT, time)
        records[i] = { topic, partition, key, value: all.subarray(at, at + value.length) }
        at += value.length
      }
      return records
    },
  }
}

function writeDigits(target: Buffer, at: number, value: number): void {
  let left = value
  for (let i = at + ID_DIGITS - 1; i >= at; i--) {
    const digit = left % ID_BASE
    target[i] = digit < 10 ? 0x30 + digit : 0x57 + digit
    left = (left - digit) / ID_BASE
  }
}

/** An Avro long as it is for every time from 2001 to 2039: six bytes. */
function writeTime(target: Buffer, at: number, epochMs: number): void {
  let left = epochMs * 2
  for (let i = 0; i < TIME_BYTES; i++) {
    const bits = left % 128
    left = (left - bits) / 128
    target[at + i] = i < TIME_BYTES - 1 ? bits | 0x80 : bits
  }
}

async function openLoadLog({ kafka, topic, prefix }: LoadOrder) {
  const logger = createSilentLogger()
  return openKafkaLog({
    client: await createKafkaClient({ config: kafka, logger }),
    topics: [topic],
    transactionalId: `weir-bench-load-${prefix}`,
    mode: 'at-least-once',
    compression: 'none',
    transactionTimeoutMs: 10_000,
    logger,
    metrics: noMetrics,
    clock: wallClock,
    nowMs: () => performance.now(),
  })
}

await main(JSON.parse(process.argv[2]!) as LoadOrder)
