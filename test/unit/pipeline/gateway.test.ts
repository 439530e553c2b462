import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTokenizer } from '#infra/tokenizer.ts'
import { Gateway } from '#pipeline/gateway.ts'
import { Intake, type Outcome, type Settled } from '#pipeline/intake.ts'
import { DEFAULT_TOPICS } from '#pipeline/topics.ts'
import type { Decision } from '#schemas/decision.ts'
import { decisionOf } from '#test/support/fake-ports.ts'
import { testCodec, transactionOf } from '#test/support/transactions.ts'

const codec = testCodec()

function gatewayOf(capacity = 10, stored: Decision | null = null) {
  const intake = new Intake(capacity)
  const gateway = new Gateway({
    intake,
    codec,
    tokenizer: createTokenizer(Buffer.alloc(32)),
    topics: DEFAULT_TOPICS,
    recentMax: 2,
    findDecision: async () => stored,
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
