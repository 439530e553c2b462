import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Log, RecordToAppend } from '#infra/log/log.ts'
import { createMemoryLog } from '#infra/log/memory-log.ts'
import { noMetrics } from '#infra/metrics.ts'
import type { BlockLimits } from '#pipeline/record/blocks.ts'
import { Recorder } from '#pipeline/record/recorder.ts'
import { DEFAULT_TOPICS } from '#pipeline/topics.ts'
import { type ErrorCode, WeirError } from '#schemas/errors.ts'
import { BlockStore } from '#test/support/block-store.ts'
import { testCodec } from '#test/support/transactions.ts'
import { appendLine, type Commit, JournalMaker, type WrittenLine } from '#test/support/written-journal.ts'

const codec = testCodec()
const LIMITS = { rowsMax: 6, clockMs: 1_000 }
const { decisions, alerts, journal } = DEFAULT_TOPICS
/** Decisions, alerts, labels; the last line closes the last block. */
const COMMITS: readonly Commit[] = [
  { control: { type: 'term', value: '{"term":1}', sha256: '' } },
  { decisions: 2, alerts: 1 },
  { decisions: 3, labels: 2 },
  { labels: 1 },
  { decisions: 1, alerts: 1 },
  { decisions: 4 },
  { decisions: 2, alerts: 2, labels: 1 },
  {},
]

test('on offsets with gaps, and ones that begin above 0, the same blocks are sent as on dense ones', async () => {
  const dense = await recordedFrom(await writtenTo(createMemoryLog()))
  assert.equal(dense.rows('weir.scored_transactions').length, 12)
  assert.equal(dense.rows('weir.alerts').length, 4)
  const gaps = await recordedFrom(await writtenTo(withoutLabelGaps(createMemoryLog({ gapAfterUnit: 3 }))))
  assert.deepEqual(blocksOf(gaps), blocksOf(dense))
  const above = createMemoryLog({ gapAfterUnit: 1 })
  await above.append(['journal', 'decisions', 'alerts'].map((name) => stray(name)))
  await above.retain(['journal', 'decisions', 'alerts'].map((topic) => ({ topic, partition: 0, offset: 2 })))
  assert.deepEqual(blocksOf(await recordedFrom(await writtenTo(withoutLabelGaps(above)))), blocksOf(dense))
})

test('a recorder goes on at the offsets that progress names, whichever block was the last', async () => {
  const log = await writtenTo(withoutLabelGaps(createMemoryLog({ gapAfterUnit: 2 })))
  const whole = await recordedFrom(log)
  const ends = whole.rows('weir.recorder_progress').map(({ line }) => Number(line))
  assert.ok(ends.length >= 3)
  for (const end of ends.slice(0, -1)) {
    const store = new BlockStore()
    await record(log, store, end)
    const before = store.sent.length
    // What lies behind is not needed any more.
    const [{ journal_offset, decisions_offset, alerts_offset }] = store.rows('weir.recorder_progress').slice(-1) as [
      Record<string, number>,
    ]
    const readFrom = watched(log)
    await record(readFrom.log, store, ends.at(-1)!)
    assert.deepEqual(blocksOf(store), blocksOf(whole))
    assert.ok(store.sent.length > before)
    assert.ok(readFrom.lowest(journal) >= journal_offset!)
    assert.ok(readFrom.lowest(decisions) >= decisions_offset!)
    assert.ok(readFrom.lowest(alerts) >= alerts_offset!)
  }
})

test('progress of before, which names no offsets, is found by its line', async () => {
  const log = await writtenTo(withoutLabelGaps(createMemoryLog({ gapAfterUnit: 5 })))
  const whole = await recordedFrom(log)
  const ends = whole.rows('weir.recorder_progress').map(({ line }) => Number(line))
  for (const end of ends.slice(0, -1)) {
    const store = new BlockStore()
    store.addProgress(end)
    await record(log, store, ends.at(-1)!)
    assert.deepEqual(
      blocksOf(store),
      blocksOf(whole).filter(([token]) => Number(/:(\d+)-/.exec(token)![1]) > end),
    )
  }
})

test('a line that does not follow the one before ends the recorder, and nothing behind it is recorded', async () => {
  const log = createMemoryLog()
  const maker = new JournalMaker()
  await appendLine(log, maker.next({ decisions: 8 }))
  maker.next({ decisions: 1 })
  await appendLine(log, maker.next({ decisions: 8 }))
  const store = new BlockStore()
  const error = await failureOf(log, store, 'LOG_DAMAGED')
  assert.match(error.message, /line 2 follows line 0/)
  assert.match(error.where, /journal offset 1/)
  assert.deepEqual(
    store.rows('weir.recorder_progress').map(({ line }) => line),
    [0],
  )
})

test('lines that the log no longer has are not left out in silence, and what to do about it helps', async () => {
  const log = createMemoryLog()
  const maker = new JournalMaker()
  for (let i = 0; i < 5; i++) maker.next({})
  await appendLine(log, maker.next({ decisions: 1 }))
  await appendLine(log, maker.next({}))
  const store = new BlockStore()
  const error = await failureOf(log, store, 'LOG_POSITION_GONE')
  assert.match(error.fix, /VALUES \(4, 0\)/)
  store.addProgress(4)
  await record(log, store, 6)
  assert.equal(store.rows('weir.scored_transactions').length, 1)
})

test('tables that hold more than the journal are of another journal', async () => {
  const store = await recordedFrom(await writtenTo(createMemoryLog()))
  const shorter = createMemoryLog()
  await appendLine(shorter, new JournalMaker().next({ decisions: 1 }))
  await failureOf(shorter, store, 'STORE_MISMATCH')
  const older = new BlockStore()
  older.addProgress(5)
  await failureOf(shorter, older, 'STORE_MISMATCH')
  // As long, and other lines.
  const longer = createMemoryLog()
  const maker = new JournalMaker()
  for (let i = 0; i < 3; i++) await appendLine(longer, maker.next({}))
  for (let i = 0; i < 30; i++) await longer.append([new JournalMaker().next({}).journal])
  await failureOf(longer, store, 'STORE_MISMATCH')
})

test('fewer or more records than a line counts end the recorder where a unit is visible at once', async () => {
  const log = createMemoryLog()
  const line = new JournalMaker().next({ decisions: 3, alerts: 1 })
  await log.append([...line.decisions.slice(1), ...line.alerts, line.journal])
  assert.match((await failureOf(log, new BlockStore(), 'LOG_DAMAGED')).message, /line 0 counts more records/)
  const fewer = createMemoryLog()
  const maker = new JournalMaker()
  const [short, next] = [maker.next({ decisions: 2 }), maker.next({ decisions: 1 })]
  const surplus = new JournalMaker().next({ decisions: 4 }).decisions.slice(2)
  await fewer.append([...short.decisions, ...surplus, short.journal])
  await appendLine(fewer, next)
  assert.match((await failureOf(fewer, new BlockStore(), 'LOG_DAMAGED')).message, /more records of journal line 0/)
})

test('where topics become visible one by one, the recorder waits for what the line counts', async () => {
  const dense = await recordedFrom(await writtenTo(createMemoryLog()))
  const inner = createMemoryLog()
  const log = { ...inner, settleMs: 60_000 }
  const store = new BlockStore()
  const recorder = recorderOf(log, store)
  const stop = new AbortController()
  const running = recorder.run(stop.signal)
  const maker = new JournalMaker()
  for (const commit of COMMITS) {
    const line = maker.next(commit)
    await inner.append([line.journal])
    for (const record of [...line.alerts, ...line.decisions, ...line.labels]) await inner.append([record])
  }
  await recorder.reached(maker.lastLine, AbortSignal.timeout(10_000))
  stop.abort()
  await running
  assert.deepEqual(blocksOf(store), blocksOf(dense))
})

test('a line that stays incomplete is told of, and does not keep the recorder from stopping', async () => {
  const inner = createMemoryLog()
  const log = { ...inner, settleMs: 1 }
  const line = new JournalMaker().next({ decisions: 8 })
  await inner.append([...line.decisions.slice(0, 7), line.journal])
  const store = new BlockStore()
  const stop = new AbortController()
  const problem = new Promise<string>((resolve) => {
    void recorderOf(log, store, { onProblem: resolve })
      .run(stop.signal)
      .finally(() => resolve('ended'))
  })
  assert.match(await problem, /line 0 still waits for its part of decisions/)
  stop.abort()
  assert.equal(store.sent.length, 0)
})

/** What brokers may show after crashes without transactions: beginnings of what a few lines under way send, again and again. */
const anyTries = fc.array(fc.tuple(fc.nat(7), fc.nat(7), fc.nat(20)), { maxLength: 6 })

test('records that come again, in part or behind those of later lines, give the same blocks, from any resumption', async () => {
  const dense = await recordedFrom(await writtenTo(createMemoryLog()))
  await fc.assert(
    fc.asyncProperty(anyTries, fc.nat(3), async (tries, cut) => {
      const inner = createMemoryLog()
      const log = { ...inner, settleMs: 60_000 }
      const lines = linesOf(COMMITS)
      for (const line of lines) await inner.append([...line.labels, line.journal])
      const topicOf = (of: 'decisions' | 'alerts', from: number): RecordToAppend[] =>
        lines.slice(from).flatMap((line) => line[of])
      for (const of of ['decisions', 'alerts'] as const) {
        // A try begins at a line that may not have been finished, so not behind one that never came.
        let begun = 0
        for (const [from, , count] of tries) {
          const sent = topicOf(of, Math.min(from, begun)).slice(0, count)
          for (const record of sent) await inner.append([record])
          while (begun < lines.length && isWithin(lines[begun]![of], sent)) begun++
        }
        for (const record of topicOf(of, 0)) await inner.append([record])
      }
      const store = new BlockStore()
      const ends = dense.rows('weir.recorder_progress').map(({ line }) => Number(line))
      await record(log, store, ends[Math.min(cut, ends.length - 1)]!)
      await record(log, store, ends.at(-1)!)
      assert.deepEqual(blocksOf(store), blocksOf(dense))
    }),
    { numRuns: 60 },
  )
})

test('a block that is sent again after other limits were set is the same, and later ones follow the new limits', async () => {
  const log = await writtenTo(createMemoryLog())
  const store = new BlockStore()
  // The second block arrives, and its progress does not.
  await record(log, store, 2)
  const held = store.sent.length
  store.onInsert = (table) => {
    if (table === 'weir.recorder_progress') store.failing.before = 1_000
  }
  const stop = new AbortController()
  const halted = recorderOf(log, store, { onProblem: () => stop.abort() }).run(stop.signal)
  await halted
  assert.ok(store.sent.length > held)
  store.onInsert = () => {}
  store.failing.before = 0
  await record(log, store, 7, { rowsMax: 1_000, clockMs: 100_000 })
  const seen = store.rows('weir.scored_transactions').map(({ transaction_id }) => transaction_id)
  assert.equal(new Set(seen).size, seen.length)
  assert.equal(seen.length, 12)
})

test('a stop while the tables are away ends at once, without progress for what is not there', async () => {
  const log = await writtenTo(createMemoryLog())
  const store = new BlockStore()
  store.failing.before = 1_000
  const stop = new AbortController()
  const recorder = recorderOf(log, store, { onProblem: () => stop.abort() })
  await recorder.run(stop.signal)
  assert.equal(store.sent.length, 0)
  assert.equal(recorder.completeLine, -1)
  await recorder.reached(5, new AbortController().signal)
})

test('a fault that another try does not mend ends the recorder, one that it does is told and forgotten', async () => {
  const log = await writtenTo(createMemoryLog())
  const store = new BlockStore()
  store.failing.before = 1
  store.fault = new WeirError('STORE_FULL', 'the disk is full')
  const told: string[] = []
  await record(log, store, 7, LIMITS, (problem) => told.push(problem))
  assert.deepEqual(told, ['the disk is full', ''])
  const refused = new BlockStore()
  refused.failing.before = 1
  refused.fault = new WeirError('STORE_REFUSED', 'wrong password')
  await failureOf(log, refused, 'STORE_REFUSED')
  assert.equal(refused.asked, 1)
})

test('lines that do not say how many alerts they have take those that are there', async () => {
  const said = await recordedFrom(await writtenTo(createMemoryLog()))
  const log = createMemoryLog()
  const maker = new JournalMaker()
  for (const commit of COMMITS) await appendLine(log, maker.next({ ...commit, saysAlerts: false }))
  assert.deepEqual(blocksOf(await recordedFrom(log)), blocksOf(said))
})

function linesOf(commits: readonly Commit[]): WrittenLine[] {
  const maker = new JournalMaker()
  return commits.map((commit) => maker.next(commit))
}

async function writtenTo(log: Log): Promise<Log> {
  for (const line of linesOf(COMMITS)) await appendLine(log, line)
  return log
}

/** Pieces of labels name dense offsets in these journals, so labels go in as units of their own, first. */
function withoutLabelGaps(log: Log): Log {
  const dense = createMemoryLog()
  const isLabels = (topic: string): boolean => topic === DEFAULT_TOPICS.labels
  return {
    ...log,
    async append(records) {
      await dense.append(records.filter(({ topic }) => isLabels(topic)))
      return await log.append(records.filter(({ topic }) => !isLabels(topic)))
    },
    reader: (from) => (isLabels(from.topic) ? dense : log).reader(from),
  }
}

function stray(topic: string): RecordToAppend {
  return { topic, partition: 0, key: null, value: Buffer.from('gone before anybody reads') }
}

function isWithin(records: readonly RecordToAppend[], sent: readonly RecordToAppend[]): boolean {
  return records.every((record) => sent.includes(record))
}

/** The log, with a memory of the lowest offset that each topic gave. */
function watched(log: Log): { readonly log: Log; lowest(topic: string): number } {
  const lowest = new Map<string, number>()
  const reading: Log = {
    ...log,
    reader(from) {
      const inner = log.reader(from)
      return {
        get position() {
          return inner.position
        },
        async read(max) {
          const records = await inner.read(max)
          for (const { topic, offset } of records) lowest.set(topic, Math.min(lowest.get(topic) ?? offset, offset))
          return records
        },
        seek: (offset) => inner.seek(offset),
        close: () => inner.close(),
      }
    },
  }
  return { log: reading, lowest: (topic) => lowest.get(topic) ?? Number.POSITIVE_INFINITY }
}

function recorderOf(
  log: Log,
  store: BlockStore,
  { limits = LIMITS, onProblem = () => {} }: { limits?: BlockLimits; onProblem?: (problem: string) => void } = {},
): Recorder {
  const readLabel = (value: Buffer) => codec.label.decode(value)
  return new Recorder({ log, store, codec, topics: DEFAULT_TOPICS, limits, metrics: noMetrics, readLabel, onProblem })
}

/** Records until everything through `line` is there, and no further. */
async function record(
  log: Log,
  store: BlockStore,
  line: number,
  limits: BlockLimits = LIMITS,
  onProblem: (problem: string) => void = () => {},
): Promise<void> {
  const recorder = recorderOf(log, store, { limits, onProblem })
  const stop = new AbortController()
  store.onProgress = (reached) => reached >= line && stop.abort()
  const running = recorder.run(stop.signal)
  await Promise.race([recorder.reached(line, AbortSignal.timeout(10_000)), running])
  stop.abort()
  await running
  assert.ok(recorder.completeLine >= line, recorder.problem)
}

async function recordedFrom(log: Log): Promise<BlockStore> {
  const store = new BlockStore()
  await record(log, store, COMMITS.length - 1)
  return store
}

/** Blocks without the offsets, which differ from log to log. */
function blocksOf(store: BlockStore): (readonly [token: string, bytes: string])[] {
  return store.sent
    .filter(({ table }) => table !== 'weir.recorder_progress')
    .map(({ token, bytes }) => [token, bytes.toString('base64')] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
}

async function failureOf(log: Log, store: BlockStore, code: ErrorCode): Promise<WeirError> {
  const error = await recorderOf(log, store)
    .run(AbortSignal.timeout(10_000))
    .then(
      () => assert.fail('the recorder should have ended with an error'),
      (thrown: unknown) => thrown,
    )
  assert.ok(error instanceof WeirError, String(error))
  assert.equal(error.code, code, error.message)
  return error
}
