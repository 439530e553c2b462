import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTokenizer } from '#infra/tokenizer.ts'
import type { Provisional } from '#pipeline/decide/provisional.ts'
import { Gateway } from '#pipeline/gateway.ts'
import { Intake, type Outcome, type Settled } from '#pipeline/intake.ts'
import { DEFAULT_TOPICS } from '#pipeline/topics.ts'
import type { Decision } from '#schemas/decision.ts'
import { decisionOf } from '#test/support/fake-ports.ts'
import { testCodec, transactionOf } from '#test/support/transactions.ts'

const codec = testCodec()

function gatewayOf(capacity = 10, stored: Decision | null = null, provisional?: Provisional) {
  const intake = new Intake(capacity)
  const gateway = new Gateway({
    intake,
    codec,
    tokenizer: createTokenizer(Buffer.alloc(32)),
    topics: DEFAULT_TOPICS,
    recentMax: 2,
    findDecision: async () => stored,
    ...(provisional === undefined ? {} : { provisional }),
  })
  return { intake, gateway }
}

const settledOf = (outcome: Outcome, decision: Decision | null = null): Settled => ({
  outcome,
  decision: decision === null ? null : codec.decision.encode(decision),
  reason: 'ID_EMPTY',
  field: 'card_id',
  detail: 'card_id is empty',
})

test('an accepted transaction is answered with its decision, and a repeat with the same one without asking again', async () => {
  const { intake, gateway } = gatewayOf()
  const transaction = transactionOf()
  const first = gateway.score(transaction, 1_000)
  intake.shift().waiter!.settle(settledOf('accepted', decisionOf({ transaction, verdict: 'review' })))
  const answer = await first
  assert.ok(answer.kind === 'decided' && !answer.repeated && answer.decision.verdict === 'review')
  const again = await gateway.score(transaction, 1_000)
  assert.ok(again.kind === 'decided' && again.repeated)
  assert.equal(intake.length, 0)
})

test('the same id with other content is a conflict, in memory and in the tables', async () => {
  const known = gatewayOf()
  const first = known.gateway.score(transactionOf(), 1_000)
  known.intake.shift().waiter!.settle(settledOf('accepted', decisionOf()))
  await first
  assert.equal((await known.gateway.score(transactionOf({ amount: 5 }), 1_000)).kind, 'conflict')

  const older = gatewayOf(10, decisionOf())
  const repeated = older.gateway.score(transactionOf({ amount: 5 }), 1_000)
  older.intake.shift().waiter!.settle(settledOf('repeated'))
  assert.equal((await repeated).kind, 'conflict')
  const same = older.gateway.score(transactionOf(), 1_000)
  older.intake.shift().waiter!.settle(settledOf('repeated'))
  assert.equal((await same).kind, 'decided')
})

test('a full queue, a late decision and a rejection are told apart', async () => {
  const { intake, gateway } = gatewayOf(1)
  const late = gateway.score(transactionOf(), 1)
  assert.equal((await gateway.score(transactionOf({ transaction_id: 't2' }), 1_000)).kind, 'busy')
  assert.equal((await late).kind, 'late')
  intake.shift()
  const rejected = gateway.score(transactionOf({ transaction_id: 't3' }), 1_000)
  intake.shift().waiter!.settle(settledOf('rejected'))
  assert.deepEqual(await rejected, {
    kind: 'rejected',
    reason: 'ID_EMPTY',
    field: 'card_id',
    detail: 'card_id is empty',
  })
})

test('many events wait for room and are counted', async () => {
  const { intake, gateway } = gatewayOf(2)
  const answer = gateway.submit([1, 2, 3, 4].map((n) => ({ transaction: transactionOf({ transaction_id: `t${n}` }) })))
  const outcomes: Outcome[] = ['accepted', 'repeated', 'rejected', 'accepted']
  for (const outcome of outcomes) {
    await intake.arrival(new AbortController().signal)
    intake.shift().waiter!.settle(settledOf(outcome))
  }
  assert.deepEqual(await answer, {
    accepted: 2,
    repeated: 1,
    rejected: [{ index: 2, reason: 'ID_EMPTY', field: 'card_id', detail: 'card_id is empty' }],
  })
})

test('a card number never gets into the queue', async () => {
  const { intake, gateway } = gatewayOf()
  const answer = gateway.score(transactionOf({ card_id: '4111111111111111' }), 1_000)
  const item = intake.shift()
  assert.ok(!item.value.includes('4111111111111111'))
  item.waiter!.settle(settledOf('rejected'))
  await answer
})

test('a late decision gets a provisional answer where there is one, and the final decision still comes', async () => {
  const decision = {
    transaction_id: 't1',
    amount_base: 1_000,
    verdict: 'review' as const,
    rule_hits: ['big'],
    shadow_hits: [],
    list_hits: [],
    rules_version: 'r1',
  }
  const asked: Buffer[] = []
  const { intake, gateway } = gatewayOf(10, null, (value) => {
    asked.push(value)
    return value.includes('t2') ? null : decision
  })
  const transaction = transactionOf({ transaction_id: 't1' })
  assert.deepEqual(await gateway.score(transaction, 1), { kind: 'provisional', decision })
  assert.deepEqual(await gateway.score(transactionOf({ transaction_id: 't2' }), 1), { kind: 'late' })
  const queued = intake.shift()
  assert.deepEqual(asked[0], queued.value)
  intake.shift()
  queued.waiter!.settle(settledOf('accepted', decisionOf({ transaction })))

  const again = gateway.score(transaction, 1_000)
  intake.shift().waiter!.settle(settledOf('accepted', decisionOf({ transaction })))
  assert.equal((await again).kind, 'decided')
  assert.equal(asked.length, 2)
})

test('it knows how many requests wait and since when, and forgets those that were answered or gave up', async () => {
  const { intake, gateway } = gatewayOf()
  const sinceMs = performance.now()
  assert.deepEqual(gateway.waiting(sinceMs), { requests: 0, oldestMs: 0 })
  const first = gateway.score(transactionOf({ transaction_id: 'a' }), 10_000)
  const second = gateway.score(transactionOf({ transaction_id: 'b' }), 10_000)
  const waiting = gateway.waiting(performance.now() + 400)
  assert.equal(waiting.requests, 2)
  assert.ok(waiting.oldestMs >= 400)
  for (const answer of [first, second]) {
    intake.shift().waiter!.settle(settledOf('rejected'))
    await answer
  }
  await gateway.score(transactionOf({ transaction_id: 'c' }), 1)
  assert.deepEqual(gateway.waiting(performance.now()), { requests: 0, oldestMs: 0 })
})
