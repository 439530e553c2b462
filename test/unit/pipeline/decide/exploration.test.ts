import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { createTokenizer } from '#infra/tokenizer.ts'
import { AlertBook } from '#pipeline/decide/alert-book.ts'
import { createDecide, type Decide } from '#pipeline/decide/decide.ts'
import { ExplorationBook, explorationSeed } from '#pipeline/decide/exploration.ts'
import { NO_LISTS } from '#pipeline/decide/lists.ts'
import { type CommittedDecision, ExplorationRebuilder } from '#pipeline/decide/rebuild-exploration.ts'
import { compileRules } from '#pipeline/decide/rules/rule-set.ts'
import { ACCEPTED, REJECTED, reached, type Scored, SliceBuffers } from '#pipeline/slice.ts'
import { type Verdict, VERDICTS } from '#schemas/decision.ts'
import { WeirError } from '#schemas/errors.ts'
import { LABEL, writeLabel, writeTransaction } from '#schemas/event-columns.ts'
import { TINY_LAYOUT } from '#test/support/layouts.ts'
import { labelOf, transactionOf } from '#test/support/transactions.ts'

const START_MS = Date.UTC(2026, 0, 15)

/** Every event is above the decline threshold, and every one would be let through but for the limit. */
function decideWith(lossMaxPerDay: number): Decide {
  const policy = {
    rules: compileRules('version: 1\nrules: []\n', 'rules.yaml', { layout: TINY_LAYOUT, lists: () => NO_LISTS }),
    lists: NO_LISTS,
    threshold: { mode: 'fixed', review: 0.5, decline: 0.9 } as const,
    exploration: { reviewShare: 1, approveShare: 1, lossMaxPerDay, seed: 's' },
  }
  return createDecide(policy, new AlertBook(100, 0.3), 'spec')
}

interface Event {
  readonly kind?: string
  readonly amount: number
  readonly score: number
}

function sliceOf(line: number, clock: number, events: readonly Event[]): Scored {
  const slice = new SliceBuffers(Math.max(1, events.length), TINY_LAYOUT)
  slice.count = events.length
  slice.line = line
  slice.clock = clock
  for (const [row, { kind = 'event', amount, score }] of events.entries()) {
    writeTransaction(slice.events, row, transactionOf({ transaction_id: `${line}/${row}`, amount }), amount)
    if (kind === 'label') writeLabel(slice.events, row, labelOf())
    slice.outcome[row] = kind === 'rejected' ? REJECTED : ACCEPTED
    slice.score[row] = score
  }
  return reached<Scored>(slice)
}

/** What a commit keeps of a slice that bears on exploration. */
function committed(slice: SliceBuffers): CommittedDecision['decision'][] {
  return Array.from({ length: slice.count }, (_, row) => ({
    line: slice.line,
    index: row,
    explored: Number.isNaN(slice.explored[row]!) ? null : slice.explored[row]!,
    verdict: VERDICTS[slice.verdict[row]!] as Verdict,
    scored_at: slice.clock,
    amount_base: slice.events.amount_base[row]!,
  })).filter((_, row) => slice.outcome[row] === ACCEPTED && slice.events.kind[row] !== LABEL)
}

test('so much is let through in a day of the journal and no more; what is too much by itself leaves room for less', () => {
  const decide = decideWith(1_000)
  const verdictsOf = (clock: number, ...amounts: number[]) =>
    committed(
      decide(
        sliceOf(
          0,
          clock,
          amounts.map((amount) => ({ amount, score: 0.95 })),
        ),
      ),
    ).map(({ verdict }) => verdict)
  assert.deepEqual(verdictsOf(START_MS, 600, 600, 400, 1), ['approve', 'decline', 'approve', 'decline'])
  assert.deepEqual(verdictsOf(START_MS + 86_399_999, 1), ['decline'])
  assert.deepEqual(verdictsOf(START_MS + 86_400_000, 1_001, 1_000, 1), ['decline', 'approve', 'decline'])
})

test('what is held back by the limit is an ordinary decline: no probability, and an alert', () => {
  const slice = decideWith(100)(
    sliceOf(0, START_MS, [
      { amount: 100, score: 0.95 },
      { amount: 1, score: 0.95 },
    ]),
  )
  assert.deepEqual(
    committed(slice).map(({ explored }) => explored),
    [1, null],
  )
  assert.equal(slice.alerts.length, 1)
})

test('rebuilt from a checkpoint and what was committed behind it, the day goes on as if nothing had happened', async () => {
  const event = fc.record({
    kind: fc.constantFrom('event', 'event', 'event', 'label', 'rejected'),
    amount: fc.integer({ min: 1, max: 400 }),
    score: fc.constantFrom(0.1, 0.7, 0.95),
  })
  const lines = fc.array(
    fc.record({ step: fc.constantFrom(1_000, 20_000_000, 90_000_000), events: fc.array(event, { maxLength: 6 }) }),
    { minLength: 1, maxLength: 20 },
  )
  await fc.assert(
    fc.asyncProperty(lines, fc.nat(20), fc.nat(20), fc.integer({ min: 1, max: 4 }), async (plan, a, b, batch) => {
      const live = decideWith(1_000)
      let clock = START_MS
      const slices = plan.map(({ step, events }, line) => {
        clock += step
        return sliceOf(line, clock, events)
      })
      const [cut, end] = [Math.min(a, b, slices.length), Math.min(Math.max(a, b), slices.length)]
      const log: CommittedDecision['decision'][] = []
      let snapshot = ''
      let from = 0
      for (const [line, slice] of slices.slice(0, end).entries()) {
        if (line === cut) {
          snapshot = JSON.stringify(live.exploration.snapshot())
          from = log.length
        }
        log.push(...committed(live(slice)))
      }
      if (cut === end) {
        snapshot = JSON.stringify(live.exploration.snapshot())
        from = log.length
      }
      // Where the place is not known, reading begins before it.
      for (let next of [from, 0]) {
        const other = decideWith(1_000)
        other.exploration.restore(JSON.parse(snapshot))
        const rebuilder = new ExplorationRebuilder(other.exploration, async () => {
          const offset = next
          next += batch
          return log.slice(offset, next).map((decision, i) => ({ offset: offset + i, decision }))
        })
        for (const slice of slices.slice(cut, end)) await rebuilder.onSlice(slice)
        assert.deepEqual(other.exploration.snapshot(), live.exploration.snapshot())
        if (rebuilder.nextOffset !== null) assert.equal(rebuilder.nextOffset, log.length)
      }
    }),
    { numRuns: 200 },
  )
})

test('decisions that were sent again after a crash count once', async () => {
  const events = [200, 300, 100].map((amount) => ({ amount, score: 0.95 }))
  const live = decideWith(1_000)
  const [first, second] = [sliceOf(0, START_MS, events), sliceOf(1, START_MS, events)]
  const decisions = [...committed(live(first)), ...committed(live(second))]
  const sent = [...decisions.slice(0, 2), ...decisions.slice(0, 3), ...decisions.slice(3, 4), ...decisions.slice(3)]
  let next = 0
  const book = new ExplorationBook()
  const rebuilder = new ExplorationRebuilder(book, async () =>
    sent.slice(next, ++next).map((decision) => ({ offset: next - 1, decision })),
  )
  await rebuilder.onSlice(first)
  await rebuilder.onSlice(second)
  assert.deepEqual(book.snapshot(), live.exploration.snapshot())
})

test('a log that holds fewer decisions than the journal says is not gone on from', async () => {
  const slice = decideWith(1_000)(
    sliceOf(3, START_MS, [
      { amount: 1, score: 0.1 },
      { amount: 2, score: 0.1 },
    ]),
  )
  const [first] = committed(slice)
  const batches = [[{ offset: 7, decision: first! }], []]
  const rebuilder = new ExplorationRebuilder(new ExplorationBook(), async () => batches.shift()!)
  await assert.rejects(
    rebuilder.onSlice(slice),
    (error: unknown) => error instanceof WeirError && error.code === 'REPLAY_MISMATCH',
  )
})

test('decisions that were not let through by exploration take nothing from the day', () => {
  const book = new ExplorationBook()
  const others: { explored: number | null; verdict: Verdict }[] = [
    { explored: null, verdict: 'approve' },
    { explored: 0.5, verdict: 'review' },
    { explored: null, verdict: 'decline' },
  ]
  for (const other of others) book.fold({ scored_at: START_MS, amount_base: 900, ...other })
  assert.equal(book.take(START_MS, 1_000, 1_000), true)
  assert.equal(book.take(START_MS, 1, 1_000), false)
})

test('without a configured seed one follows from the token key: the same for the same key, and not the key', () => {
  const derive = (byte: number) => (purpose: string) => createTokenizer(Buffer.alloc(32, byte)).derive(purpose)
  const seed = explorationSeed('', derive(7))
  assert.match(seed, /^[0-9a-f]{64}$/)
  assert.equal(explorationSeed('', derive(7)), seed)
  assert.notEqual(explorationSeed('', derive(8)), seed)
  assert.notEqual(seed, Buffer.alloc(32, 7).toString('hex'))
  assert.equal(explorationSeed('mine', derive(7)), 'mine')
})
