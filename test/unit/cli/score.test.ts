import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { createContext } from '#cli/context.ts'
import { runScore } from '#cli/score.ts'
import { ScoreDocument, type ScoreSummary } from '#cli/score-output.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { fakeIo } from '#test/support/fake-io.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'
import { transactionOf } from '#test/support/transactions.ts'

interface Document {
  readonly decisions: readonly { readonly transaction_id: string; readonly verdict: string }[]
  readonly rejected: readonly { readonly rejected: string; readonly record: number }[]
  readonly summary: ScoreSummary
}

/** Scores JSON lines by the shipped rules alone, and gives what was said where. */
async function scored(lines: readonly string[], options: { json?: boolean; flagged?: boolean; set?: object } = {}) {
  return await inTempFolder(async (folder) => {
    const io = fakeIo({ folder, input: Readable.from(lines.map((line) => Buffer.from(`${line}\n`))) })
    const set = { 'path.spec': 'lean', 'path.deduplicateIds': '1024', ...options.set }
    const context = {
      ...createContext(io, { json: options.json === true, set }, []),
      stopSignal: () => new AbortController().signal,
    }
    const flagged = options.flagged === true
    const error: unknown = await runScore(context, '-', { model: 'none', flagged }).then(
      () => null,
      (reason: unknown) => reason,
    )
    return { stdout: io.stdout(), stderr: io.stderr(), error }
  })
}

const event = (id: string, fields: Partial<Transaction> = {}): string =>
  JSON.stringify(transactionOf({ transaction_id: id, ...fields }))
const MISMATCH = { country: 'DE', merchant_country: 'US', avs: 'N', amount: 90_000 }
const EVENTS = [event('a'), event('b', MISMATCH), event('a'), event('c', { currency: 'XXX' })]

test('decisions are JSON lines on stdout, in the order of the records, with a short summary on stderr', async () => {
  const { stdout, stderr, error } = await scored(EVENTS)
  assert.equal(error, null)
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual(
    lines.map((line) => line['verdict'] ?? line['rejected']),
    ['approve', 'review', 'UNKNOWN_CURRENCY'],
  )
  assert.match(
    stderr,
    /2 decisions \(1 approve, 1 review\); 1 records not accepted; 1 repeated; model none, rules alone/,
  )
})

test('with --json stdout is one document: decisions, what was not accepted, and a summary', async () => {
  const { stdout, error } = await scored(EVENTS, { json: true })
  assert.equal(error, null)
  const { decisions, rejected, summary } = JSON.parse(stdout) as Document
  assert.deepEqual(
    decisions.map(({ transaction_id, verdict }) => [transaction_id, verdict]),
    [
      ['a', 'approve'],
      ['b', 'review'],
    ],
  )
  assert.deepEqual(
    rejected.map(({ rejected, record }) => [rejected, record]),
    [['UNKNOWN_CURRENCY', 4]],
  )
  const { rules, ...counts } = summary
  assert.match(rules, /^[0-9a-f]{12}$/)
  const verdicts = { approve: 1, review: 1 }
  assert.deepEqual(counts, { decisions: 2, flagged: 1, verdicts, rejected: 1, repeated: 1, model: null, spec: 'lean' })

  const flagged = JSON.parse((await scored(EVENTS, { json: true, flagged: true })).stdout) as Document
  assert.deepEqual(
    flagged.decisions.map(({ transaction_id }) => transaction_id),
    ['b'],
  )
  assert.equal(flagged.summary.decisions, 2)
})

test('after a bad record --json has written nothing, so that the error is the one document', async () => {
  const many = Array.from({ length: 600 }, (_, n) => event(`e${n}`))
  const { stdout, error } = await scored([...many, '{"card_id": 7}'], { json: true })
  assert.ok(error instanceof WeirError && error.code === 'INPUT_INVALID')
  assert.equal(stdout, '')
})

test('a document that would get too large is refused with a way out, not held in memory', async () => {
  const document = new ScoreDocument(60)
  const told = [{ isRejected: false, text: JSON.stringify({ verdict: 'approve', padding: 'x'.repeat(20) }) }]
  await document.add(told)
  await assert.rejects(document.add(told), (error: unknown) => error instanceof WeirError && /--json/.test(error.fix))
})

test('the configured threshold mode decides, cost too', async () => {
  const thresholdIn = async (mode: string): Promise<unknown> =>
    (JSON.parse((await scored([event('a')], { set: { 'threshold.mode': mode } })).stdout) as { threshold: unknown })
      .threshold
  assert.ok(Math.abs(((await thresholdIn('fixed')) as number) - 0.2) < 1e-6)
  assert.equal(await thresholdIn('budget'), 1)
  assert.equal(await thresholdIn('cost'), null)
})
