import type { RecordToAppend, TopicPartition } from '#infra/log/log.ts'
import type { Logger } from '#infra/logger.ts'
import type { Metrics } from '#infra/metrics.ts'
import { WeirError } from '#schemas/errors.ts'
import { readCommitted } from './committed-read.ts'
import { type KafkaConnection, keyOf } from './connection.ts'
import { CODE, codeOf, KafkaError, lastingError, reasonOf, topicMissing } from './kafka-errors.ts'
import { Patience } from './patience.ts'
import { KafkaProducer, type ProducerOptions } from './producer.ts'
import { recordBytesMax } from './record-batch-writer.ts'
import { planTransaction, type TransactionPlan } from './transaction-plan.ts'

export interface AppenderDeps {
  readonly connection: KafkaConnection
  readonly producer: ProducerOptions
  /** Largest batch sent; a topic's max.message.bytes is 1 MiB unless set otherwise. */
  readonly batchBytesMax: number
  /** Partitions whose ends a new writer makes sure of, so that who it may replace is read to the last record. */
  readonly marked: readonly TopicPartition[]
  /** Everything that was written to a marked partition before the writer of now lies below this offset. */
  readonly onMarked: (partition: TopicPartition, end: number) => void
  /** Whether this process may write on, as far as it can learn; asked before and after a writer is made anew. */
  readonly stillOwner: () => Promise<boolean>
  /** A topic or partition that brokers do not know for so long is gone. */
  readonly missingAfterMs: number
  readonly logger: Logger
  readonly metrics: Metrics
  readonly clockMs: () => number
  /** Monotonic milliseconds. */
  readonly nowMs: () => number
  readonly onAppended: (records: readonly RecordToAppend[], offsets: readonly number[]) => void
}

interface Job {
  /** Null: take over only. */
  readonly records: readonly RecordToAppend[] | null
  readonly done: (offsets: readonly number[]) => void
  readonly failed: (error: unknown) => void
}

/** A unit that was written, and where; what was lost of it and written again is elsewhere then. */
interface Unit {
  readonly records: readonly RecordToAppend[]
  readonly offsets: number[]
}

/** Seen by nobody: its transaction is aborted. */
export const MARK = Buffer.from('mark')
const GROUP_BYTES_MAX = 8_388_608
const GROUP_RECORDS_MAX = 50_000

/**
 * Appends units in the order of the calls, those that wait together in one transaction, never two at once. Whatever goes
 * wrong, the bytes are kept until their outcome is known: the writer is thrown away, the next one takes its transactional
 * id over, which ends what the first had begun; then the log itself says whether the commit took place, and whether the one
 * before it is still whole.
 */
export class Appender {
  private readonly deps: AppenderDeps
  private readonly stop = new AbortController()
  private jobs: Job[] = []
  private working: Promise<void> | null = null
  private producer: KafkaProducer | null = null
  private hadProducer = false
  /** Connections lost before the producer was there. */
  private losses = 0
  /** Committed last: a broker that crashes before the next one is begun may forget part of it. */
  private last: Unit | null = null
  private mayBeLost = false
  /** Every append fails with it; a take-over ends it where the reason was that another process is active. */
  private refusal: WeirError | null = null

  constructor(deps: AppenderDeps) {
    this.deps = deps
    deps.connection.addTopics(deps.marked.map(({ topic }) => topic))
  }

  append(records: readonly RecordToAppend[]): Promise<readonly number[]> {
    if (this.refusal !== null) return Promise.reject(this.refusal)
    if (records.length === 0) return Promise.resolve([])
    return this.enqueue(records)
  }

  /** Makes this process the writer: resolves when whoever was it before can write no more. */
  async take(): Promise<void> {
    if (this.refusal !== null && this.refusal.code !== 'LOG_FENCED') throw this.refusal
    await this.enqueue(null)
  }

  /** Waits for what is under way, at most so long; what is not done then fails with LOG_CLOSED. */
  async close(withinMs: number): Promise<void> {
    const closed = new WeirError('LOG_CLOSED', 'the log was closed')
    if (this.working !== null) {
      const deadline = setTimeout(() => {
        this.stop.abort(closed)
        this.deps.connection.cutAll('the log was closed')
      }, withinMs)
      await this.working
      clearTimeout(deadline)
    }
    this.stop.abort(closed)
    this.refusal = closed
    await this.deps.connection.close()
  }

  private enqueue(records: readonly RecordToAppend[] | null): Promise<readonly number[]> {
    return new Promise((done, failed) => {
      this.jobs.push({ records, done, failed })
      this.working ??= this.work()
    })
  }

  private async work(): Promise<void> {
    // Appends made in the same turn of the event loop join the first group.
    await Promise.resolve()
    while (this.jobs.length > 0) {
      const group = this.takeGroup()
      try {
        if (group[0]!.records === null) await this.takeOver()
        else await this.appendGroup(group)
        if (group[0]!.records === null) group[0]!.done([])
      } catch (error) {
        this.refusal = this.stop.signal.aborted ? (this.stop.signal.reason as WeirError) : (error as WeirError)
        for (const { failed } of [...group, ...this.jobs.splice(0)]) failed(this.refusal)
      }
    }
    this.working = null
  }

  private takeGroup(): Job[] {
    let bytes = 0
    let count = 0
    let records = 0
    for (const job of this.jobs) {
      if (job.records === null) {
        if (count === 0) count = 1
        break
      }
      if (count > 0 && (bytes >= GROUP_BYTES_MAX || records >= GROUP_RECORDS_MAX)) break
      for (const record of job.records) bytes += recordBytesMax(record)
      records += job.records.length
      count++
    }
    return this.jobs.splice(0, count)
  }

  private async takeOver(): Promise<void> {
    this.producer = null
    this.hadProducer = false
    this.last = null
    await this.insist(
      'taking the log over',
      async () => {
        this.producer = await this.startProducer()
      },
      () => this.whatIsMissing(this.deps.marked),
    )
    this.hadProducer = true
    this.refusal = null
  }

  private async appendGroup(group: readonly Job[]): Promise<void> {
    const { connection, batchBytesMax, producer, onAppended } = this.deps
    const records = group.length === 1 ? group[0]!.records! : group.flatMap((job) => job.records!)
    connection.addTopics(new Set(records.map(({ topic }) => topic)))
    const plan = await planTransaction(records, batchBytesMax, producer.compression)
    const offsets = await this.deliver(records, plan)
    onAppended(records, offsets)
    let from = 0
    for (const { records: own, done } of group) {
      done(offsets.slice(from, from + own!.length))
      from += own!.length
    }
  }

  private async deliver(records: readonly RecordToAppend[], plan: TransactionPlan): Promise<readonly number[]> {
    /** A unit whose commit was not answered. */
    let open: Unit | null = null
    let offsets: number[] = []
    const work = async (): Promise<void> => {
      if (this.hasLostBroker()) this.producer = null
      this.producer ??= await this.renewProducer()
      await this.findLeaders(plan)
      if (this.mayBeLost) {
        if (this.last !== null) await this.writeAgain(this.last, await this.missingOf(this.last))
        this.mayBeLost = false
      }
      if (open !== null) {
        const missing = await this.missingOf(open)
        const isThere = missing.length < open.records.length
        this.deps.logger.info(
          { partition: keyOf(records[0]!), offset: open.offsets[0], isThere },
          'a commit was looked up',
        )
        if (isThere) {
          await this.writeAgain(open, missing)
          return
        }
        open = null
      }
      offsets = await this.write(plan)
      if (!this.deps.producer.isTransactional) return
      open = { records, offsets }
      await this.producer.commit()
    }
    await this.insist('appending', work, () => this.whatIsMissing(records))
    if (this.deps.producer.isTransactional) this.last = { records, offsets }
    return offsets
  }

  /** Writes a transaction, or what stands for one, up to its commit. */
  private async write(plan: TransactionPlan): Promise<number[]> {
    const producer = this.producer!
    if (this.deps.producer.isTransactional) await producer.begin(plan.rounds[0]!, this.stop.signal)
    const firstOffsets: number[][] = []
    for (const round of plan.rounds) firstOffsets.push(await producer.write(round))
    return plan.offsetsOf(firstOffsets)
  }

  /**
   * Places of the records that are not there. All of a partition have one fate; partitions may differ: a broker that crashes
   * between the answer to a commit and its markers was seen (4.x, a single one) to write only some of them when it is back.
   */
  private async missingOf({ records, offsets }: Unit): Promise<number[]> {
    const isThere = new Map<string, boolean>()
    const missing: number[] = []
    for (const [place, record] of records.entries()) {
      const partition = keyOf(record)
      let there = isThere.get(partition)
      if (there === undefined) {
        there = await this.isCommitted(record, offsets[place]!)
        isThere.set(partition, there)
      }
      if (!there) missing.push(place)
    }
    return missing
  }

  /** What a broker lost of a unit that it had committed, in a transaction of its own: nothing of the unit is there twice. */
  private async writeAgain(unit: Unit, missing: readonly number[]): Promise<void> {
    if (missing.length === 0) return
    const { logger, batchBytesMax, producer } = this.deps
    const plan = await planTransaction(
      missing.map((place) => unit.records[place]!),
      batchBytesMax,
      producer.compression,
    )
    logger.warn({ records: missing.length }, 'a broker lost part of what it had confirmed; it is written again')
    const offsets = await this.write(plan)
    // Where it is looked for, should this commit not be answered.
    for (const [i, place] of missing.entries()) unit.offsets[place] = offsets[i]!
    await this.producer!.commit()
  }

  private async findLeaders(plan: TransactionPlan): Promise<void> {
    const { connection } = this.deps
    if (plan.rounds[0]!.every((batch) => connection.leaderOf(batch) !== null)) return
    await connection.refresh()
    const homeless = plan.rounds[0]!.find((batch) => connection.leaderOf(batch) === null)
    if (homeless !== undefined) throw new KafkaError(CODE.unknownTopicOrPartition, `writing to ${keyOf(homeless)}`)
  }

  /** Does something until it is done; gives up only with an error that no new try can mend. */
  private async insist(
    doing: string,
    work: () => Promise<void>,
    whatIsMissing?: () => WeirError | undefined,
  ): Promise<void> {
    const { logger, metrics, nowMs, missingAfterMs } = this.deps
    const { signal } = this.stop
    const patience = new Patience(nowMs)
    let missingSince: number | null = null
    for (;;) {
      signal.throwIfAborted()
      try {
        await work()
        return
      } catch (error) {
        signal.throwIfAborted()
        const spent = this.producer
        this.producer = null
        const lasting = lastingError(error, this.deps.producer.transactionalId)
        if (lasting !== null) {
          await spent?.abort().catch(() => {})
          throw lasting
        }
        const code = codeOf(error)
        if (code === undefined) this.deps.connection.cutAll('a request failed')
        missingSince = code === CODE.unknownTopicOrPartition ? (missingSince ?? nowMs()) : null
        if (missingSince !== null && nowMs() - missingSince >= missingAfterMs) {
          const missing = whatIsMissing?.()
          if (missing !== undefined) throw missing
        }
        if (patience.isWorthTelling()) logger.warn({ reason: reasonOf(error) }, `${doing} did not work; trying on`)
        metrics.count('weir_kafka_append_retries_total')
      }
      await patience.wait(signal)
    }
  }

  /** A second writer and those after it are made only as long as no other process is known to be active. */
  private async renewProducer(): Promise<KafkaProducer> {
    if (!this.hadProducer) {
      const producer = await this.startProducer()
      this.hadProducer = true
      return producer
    }
    await this.expectOwner()
    const producer = await this.startProducer()
    await this.expectOwner()
    this.mayBeLost = true
    return producer
  }

  private async startProducer(): Promise<KafkaProducer> {
    const { connection, producer: options, clockMs, marked, onMarked, batchBytesMax } = this.deps
    const { signal } = this.stop
    const producer = await KafkaProducer.start(connection, options, clockMs, signal)
    if (marked.length > 0) {
      const records = marked.map((partition) => ({ ...partition, key: null, value: MARK }))
      const plan = await planTransaction(records, batchBytesMax, 'none')
      await this.findLeaders(plan)
      const batches = plan.rounds[0]!
      const offsets = await producer.mark(batches, signal)
      for (const [i, batch] of batches.entries()) onMarked(batch, offsets[i]! + 1)
    }
    this.losses = connection.losses
    return producer
  }

  /** A broker that crashed and is back goes on with this writer as if nothing had been, whatever it forgot. */
  private hasLostBroker(): boolean {
    const { producer, connection } = this.deps
    return producer.isTransactional && connection.losses !== this.losses
  }

  private async expectOwner(): Promise<void> {
    if (await this.deps.stillOwner()) return
    throw new WeirError('LOG_FENCED', 'another process has taken over; this one writes no more', {
      where: this.deps.producer.transactionalId,
      fix: 'Nothing needs to be done: the process goes on as a standby.',
    })
  }

  private async isCommitted(record: RecordToAppend, offset: number): Promise<boolean> {
    const found = await readCommitted(this.deps.connection, record, offset, this.stop.signal)
    return found !== null && isSame(found.key, record.key) && isSame(found.value, record.value)
  }

  private whatIsMissing(records: readonly TopicPartition[]): WeirError | undefined {
    const { connection } = this.deps
    const record = records.find(({ topic, partition }) => partition >= connection.partitionCount(topic))
    if (record === undefined) return undefined
    const { topic, partition } = record
    return topicMissing(topic, connection.partitionCount(topic) === 0 ? undefined : partition)
  }
}

function isSame(a: Uint8Array | null, b: Uint8Array | null): boolean {
  return a === null || b === null ? a === b : Buffer.compare(a, b) === 0
}
