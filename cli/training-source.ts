import { openEventFile, readEvents } from '#infra/event-files/read-events.ts'
import type { Log } from '#infra/log/log.ts'
import { type FoldItem, foldItems } from '#learning/fold-items.ts'
import type { TrainingSource } from '#learning/train-from.ts'
import { follow } from '#pipeline/follow.ts'
import { Positions } from '#pipeline/journal.ts'
import { type Featurized, reached, type Scored, SliceBuffers } from '#pipeline/slice.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Label } from '#schemas/label.ts'
import { Simulator, type SimulatorOptions } from '#simulator/simulator.ts'
import type { PathRuntime } from './path-runtime.ts'

/** A fresh path for one pass, with rates and rules in force; nothing is scored. */
export type MakeRuntime = () => Promise<PathRuntime>

const SLICE_ROWS = 1_024

/** Learns from a simulated world: made anew from its seed for each pass. */
export function simulatedSource(options: SimulatorOptions, events: number, makeRuntime: MakeRuntime): TrainingSource {
  async function* batches(runtime: PathRuntime): AsyncGenerator<readonly FoldItem[]> {
    const { codec } = runtime
    const simulator = new Simulator(options)
    for (let sent = 0; sent < events; ) {
      const batch: FoldItem[] = []
      while (batch.length < SLICE_ROWS && sent < events) {
        const item = simulator.next()
        if (item.kind === 'label') batch.push({ topic: 'labels', value: codec.label.encode(item.label) })
        else {
          batch.push({ topic: 'transactions', value: codec.transaction.encode(item.transaction) })
          sent++
        }
      }
      yield batch
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return {
    async scan(onLabel, signal) {
      const simulator = new Simulator(options)
      let lastMs = 0
      for (let seen = 0; seen < events && !signal.aborted; ) {
        const item = simulator.next()
        if (item.kind === 'label') {
          onLabel(item.label)
          lastMs = Math.max(lastMs, item.label.known_at)
        } else {
          seen++
          lastMs = Math.max(lastMs, item.transaction.event_time)
        }
      }
      return { lastMs, events }
    },
    fold: (onSlice, signal) => foldWith(makeRuntime, batches, onSlice, signal),
  }
}

/** Learns from files: transactions, and labels that are folded when they became known. */
export function fileSource(
  transactions: string,
  labels: string | null,
  codecOf: MakeRuntime,
  makeRuntime: MakeRuntime,
): TrainingSource {
  async function* events(
    runtime: PathRuntime,
  ): AsyncGenerator<FoldItem & { readonly timeMs: number; readonly label: Label | null }> {
    const { codec } = runtime
    const known: Label[] = []
    if (labels !== null) {
      for await (const batch of readEvents({
        input: openEventFile(labels),
        format: formatOf(labels),
        name: labels,
        codec,
      })) {
        for (const event of batch) if (event.kind === 'label') known.push(event.label)
      }
      known.sort((a, b) => a.known_at - b.known_at)
    }
    let next = 0
    const labelItem = (label: Label) => ({
      topic: 'labels',
      value: codec.label.encode(label),
      timeMs: label.known_at,
      label,
    })
    const source = { input: openEventFile(transactions), format: formatOf(transactions), name: transactions, codec }
    for await (const batch of readEvents(source)) {
      for (const event of batch) {
        if (event.kind === 'problem') {
          throw new WeirError('INPUT_INVALID', `field ${event.field}: ${event.problem}`, { where: event.where })
        }
        if (event.kind === 'label') yield labelItem(event.label)
        if (event.kind !== 'transaction') continue
        const { transaction } = event
        while (next < known.length && known[next]!.known_at <= transaction.event_time) yield labelItem(known[next++]!)
        yield {
          topic: 'transactions',
          value: codec.transaction.encode(transaction),
          timeMs: transaction.event_time,
          label: null,
        }
      }
    }
    while (next < known.length) yield labelItem(known[next++]!)
  }
  async function* batches(runtime: PathRuntime): AsyncGenerator<readonly FoldItem[]> {
    for await (const event of events(runtime)) yield [event]
  }
  return {
    async scan(onLabel, signal) {
      const runtime = await codecOf()
      let lastMs = 0
      let count = 0
      for await (const event of events(runtime)) {
        if (signal.aborted) break
        lastMs = Math.max(lastMs, event.timeMs)
        if (event.label === null) count++
        else onLabel(event.label)
      }
      return { lastMs, events: count }
    },
    fold: (onSlice, signal) => foldWith(makeRuntime, batches, onSlice, signal),
  }
}

/** Learns from a log: follows its journal, so that every event has the features it had when it was decided. */
export function logSource(
  log: Log,
  topics: { readonly journal: string; readonly labels: string },
  makeRuntime: MakeRuntime,
): TrainingSource {
  return {
    async scan(onLabel, signal) {
      const runtime = await makeRuntime()
      const { codec } = runtime
      let lastMs = 0
      let events = 0
      const each = async (topic: string, partition: number, take: (value: Buffer) => void): Promise<void> => {
        const reader = log.reader({ topic, partition, offset: await firstOffset(log, topic, partition) })
        for (
          let records = await reader.read(1_024);
          records.length > 0 && !signal.aborted;
          records = await reader.read(1_024)
        ) {
          for (const { value } of records) if (value !== null) take(value)
        }
        reader.close()
      }
      for (const { topic, partition } of await log.ranges()) {
        if (topic === topics.labels) {
          await each(topic, partition, (value) => {
            const label = codec.label.tryDecode(value)
            if (label !== null) onLabel(label)
          })
        } else if (topic === topics.journal) {
          await each(topic, partition, (value) => {
            const line = codec.journalLine.decode(value)
            lastMs = Math.max(lastMs, line.clock)
            for (const piece of line.pieces) events += piece.count
          })
        }
      }
      return { lastMs, events }
    },
    async fold(onSlice, signal) {
      const runtime = await makeRuntime()
      const withRules = rulesOn(runtime)
      await follow({
        log,
        codec: runtime.codec,
        topics: runtime.topics,
        fold: runtime.path.fold,
        positions: new Positions(),
        sliceOf: (rows) => new SliceBuffers(Math.max(rows, SLICE_ROWS), runtime.layout),
        fromLine: 0,
        fromOffset: 0,
        // Another spec may be trained on the same stream.
        onControl: (control) => (control.type === 'spec' ? undefined : runtime.applyWhileFollowing(control)),
        onSlice: (slice) => onSlice(withRules(slice)),
        signal,
      })
      await runtime.close()
    },
  }
}

async function foldWith(
  makeRuntime: MakeRuntime,
  batches: (runtime: PathRuntime) => AsyncGenerator<readonly FoldItem[]>,
  onSlice: (slice: Featurized) => void,
  signal: AbortSignal,
): Promise<void> {
  const runtime = await makeRuntime()
  const withRules = rulesOn(runtime)
  const slice = new SliceBuffers(SLICE_ROWS, runtime.layout)
  const topics = { transactions: 'transactions', labels: 'labels' }
  await foldItems(runtime.path.fold, slice, topics, batches(runtime), (folded) => onSlice(withRules(folded)), signal)
  await runtime.close()
}

/** Lets the rules speak on a slice that was not scored, so that they can be compared with a model. */
function rulesOn(runtime: PathRuntime): (slice: Featurized) => Featurized {
  return (slice) => {
    slice.score.fill(Number.NaN)
    runtime.path.decide(reached<Scored>(slice))
    return slice
  }
}

async function firstOffset(log: Log, topic: string, partition: number): Promise<number> {
  return (await log.ranges()).find((range) => range.topic === topic && range.partition === partition)?.start ?? 0
}

function formatOf(file: string): 'jsonl' | 'csv' | 'avro' {
  if (file.endsWith('.csv')) return 'csv'
  if (file.endsWith('.avro')) return 'avro'
  if (/\.(jsonl|ndjson|json)$/.test(file)) return 'jsonl'
  throw new WeirError('INPUT_INVALID', 'the format cannot be told from the name', {
    where: file,
    fix: 'Name the file .jsonl, .csv or .avro.',
  })
}
