import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { layoutOf } from '#models/features/layout.ts'
import { loadFeatureSpec } from '#models/features/shipped-specs.ts'
import { Lists, NO_LISTS } from '#pipeline/decide/lists.ts'
import { compileCondition } from '#pipeline/decide/rules/compile.ts'
import { parseExpression } from '#pipeline/decide/rules/parse.ts'
import { compileRules, type RuleSet } from '#pipeline/decide/rules/rule-set.ts'
import { SliceBuffers } from '#pipeline/slice.ts'
import { counterName, type CounterSpec } from '#schemas/counter.ts'
import { WeirError } from '#schemas/errors.ts'
import { writeTransaction } from '#schemas/event-columns.ts'
import type { Transaction } from '#schemas/transaction.ts'
import { transactionOf } from '#test/support/transactions.ts'

const ROOT = new URL('../../../../', import.meta.url).pathname
const spec = (name: string) => loadFeatureSpec(name, `${ROOT}models/features/specs`)
const layout = layoutOf(spec('default'))
const RULES_FILE = `${ROOT}pipeline/decide/rules.default.yaml`

function sliceOf(
  fields: Partial<Transaction>,
  features: Readonly<Record<string, number>> = {},
  counters: readonly number[] = [],
): SliceBuffers {
  const slice = new SliceBuffers(1, layout)
  slice.count = 1
  const transaction = transactionOf(fields)
  writeTransaction(slice.events, 0, transaction, transaction.amount)
  slice.score[0] = Number.NaN
  for (const [name, value] of Object.entries(features)) {
    slice.features.current[layout.currentColumns.findIndex((column) => column.name === name)] = value
  }
  slice.features.counters = Float64Array.from(counters)
  slice.features.counterCount = counters.length
  return slice
}

function evaluate(expression: string, slice: SliceBuffers, lists: Lists = NO_LISTS): boolean | null {
  const read = compileCondition(parseExpression(expression), { layout, counters: [], lists: () => lists })
  return read(slice, 0)
}

test('expressions mean what they say', () => {
  const slice = sliceOf(
    {
      amount: 12_550,
      country: 'DE',
      merchant_country: 'FR',
      attributes: { segment: 'gold' },
      signals: { ip_risk: 0.7 },
    },
    { card_count_1h: 4, card_sum_1d: 30_000 },
  )
  const truths = [
    'amount == 125.5',
    'amount > 100 and card_count_1h >= 4',
    'card_sum_1d == 300',
    'not (amount < 100) and country != merchant_country',
    'attributes.segment == "gold" and attributes.none == ""',
    'signals.ip_risk > 0.5',
    'country in ["DE", "AT"] and merchant_country not in ["DE"]',
    'min(amount, 10) + max(1, 2) * 3 - abs(-1) == 15',
    'starts_with(card_id, "card-")',
    'hour == 12 and kind == "authorization" and channel == "ECOM" and not recurring',
    '10m + 1h == 70m and 2 * 30m == 1h and 1h / 20m == 3 and -1m < 1s and 90s in [90s] and max(1s, 2s) == 2s',
    '2 + 3 * 4 == 14 and (2 + 3) * 4 == 20 and 7 % 4 == 3 and 1 / 4 == 0.25',
    'false or true and not false',
  ]
  for (const expression of truths) assert.equal(evaluate(expression, slice), true, expression)
})

test('what is missing is neither above nor below nor other than anything, and its negation is no truer', () => {
  const slice = sliceOf({ amount: 12_550, country: '', signals: { ip_risk: 0 } })
  const unknown = [
    'score > 0',
    'score <= 1',
    'signals.none > 0',
    'signals.none != 5',
    'not (signals.none == 5)',
    'signals.none == signals.none',
    'signals.none not in [5]',
    'signals.none in [5]',
    'latitude == 0',
    'latitude - longitude < 1',
    'abs(signals.none) >= 0 or amount > 200',
    'min(signals.none, 1) <= 1',
    'amount / signals.ip_risk > 4',
    'amount % signals.ip_risk != 4',
    'signals.none > 1 and amount > 100',
    '(signals.none > 1) != (amount > 100)',
  ]
  for (const expression of unknown) {
    assert.equal(evaluate(expression, slice), null, expression)
    assert.equal(evaluate(`not (${expression})`, slice), null, expression)
  }
  assert.equal(evaluate('signals.none > 1 or amount > 100', slice), true)
  assert.equal(evaluate('signals.none > 1 and amount < 100', slice), false)
  // An empty text is a text: whether it was given is asked for by comparing with it.
  assert.equal(evaluate('country == "" and country != "DE" and country not in ["DE"]', slice), true)
})

test('a named list takes effect', () => {
  const lists = new Lists([{ list: 'gift-cards', field: 'merchant_id', value: 'merchant-1', reason: '', author: '' }])
  assert.equal(evaluate('merchant_id in list("gift-cards")', sliceOf({}), lists), true)
  assert.equal(evaluate('merchant_id not in list("gift-cards")', sliceOf({}), lists), false)
})

test('faults name what was found, what is expected and a near name', () => {
  const faults: readonly [string, RegExp, RegExp][] = [
    ['amout > 1', /no field or feature 'amout'/, /Did you mean 'amount'/],
    ['card_count_2h > 1', /no field or feature 'card_count_2h'/, /card_count_/],
    ['amount', /expected a condition, found number/, /Compare it/],
    ['country > "A"', /cannot compare text > text/, /Only numbers/],
    ['amount > 10m', /cannot compare number > duration/, /one type/],
    ['1h == 3600', /cannot compare duration == number/, /one type/],
    ['amount + 10m > 1', /cannot compute number \+ duration/, /goes with durations/],
    ['10m * 10m > 1h', /cannot compute duration \* duration/, /goes with durations/],
    ['min(amount, 10m) > 1', /min\(\) of number and duration/, /one type/],
    ['amount in [10m]', /expected a number constant/, /type on the left/],
    ['recurring in [true]', /expected a boolean constant/, /type on the left/],
    ['amount == "1"', /cannot compare number == text/, /one type/],
    ['count(devce_id, 10m) > 1', /'devce_id' is not a field/, /device_id/],
    ['count(device_id, 40d) > 1', /between 1s and 30d/, /^$/],
    ['count(device_id, 10m, decline) > 1', /'decline' is not what can be counted/, /declined/],
    ['amount >', /ends where a value is expected/, /^$/],
    ['mx(1, 2) > 1', /no function 'mx'/, /max/],
    ['1 < 2 < 3', /do not chain/, /and/],
  ]
  for (const [expression, message, fix] of faults) {
    assert.throws(
      () => evaluate(expression, sliceOf({})),
      (error: unknown) =>
        error instanceof WeirError &&
        error.code === 'RULES_INVALID' &&
        message.test(error.message) &&
        fix.test(error.fix),
      expression,
    )
  }
})

test('any text is either an expression or a fault with a code, never anything else', () => {
  const words = fc.constantFrom(
    'amount',
    '>',
    '5',
    'and',
    'or',
    'not',
    '(',
    ')',
    'in',
    '[',
    ']',
    '"x"',
    '10m',
    'count',
    ',',
    'list',
    '.',
    'country',
    '==',
    '-',
    '{',
  )
  const text = fc.oneof(
    fc.string(),
    fc.array(words, { maxLength: 40 }).map((list) => list.join(' ')),
    fc.constant('('.repeat(3_000)),
  )
  fc.assert(
    fc.property(text, (expression) => {
      try {
        evaluate(expression, sliceOf({}))
      } catch (error) {
        assert.ok(error instanceof WeirError && error.code === 'RULES_INVALID', String(error))
      }
    }),
    { numRuns: 1_000 },
  )
})

test('a rules file with a fault is refused with file, line, column and rule', () => {
  const text = readFileSync(RULES_FILE, 'utf8')
  const refuse = (broken: string, message: RegExp, where: RegExp): void => {
    assert.throws(
      () => compileRules(broken, 'rules.yaml', { layout, lists: () => NO_LISTS }),
      (error: unknown) =>
        error instanceof WeirError &&
        error.code === 'RULES_INVALID' &&
        message.test(error.message) &&
        where.test(error.where),
    )
  }
  refuse(
    text.replace('amount_to_median > 4', 'amount_to_medan > 4'),
    /rule new-device-large-amount: .*amount_to_medan/,
    /rules\.yaml line 3\d, column \d+/,
  )
  refuse(
    text.replace('amount > 150 and', 'amount > 10m and'),
    /rule new-device-large-amount: cannot compare number > duration/,
    /rules\.yaml line 3\d, column 6\d/,
  )
  refuse(text.replace('action: decline', 'action: explode'), /rules\.0\.action/, /line 7/)
  refuse(text.replace('version: 1', 'version: 2'), /version/, /rules\.yaml/)
  refuse(text.replace('id: many-cards-on-device', 'id: card-testing-merchant'), /two rules/, /line/)
  refuse('version: [', /not valid YAML/, /line 1/)
  refuse('', /\(file\)/, /rules\.yaml/)
})

test('the shipped rules fit both shipped specs, two stand in shadow, at least two count', () => {
  const text = readFileSync(RULES_FILE, 'utf8')
  for (const name of ['default', 'lean']) {
    const rules = compileRules(text, RULES_FILE, { layout: layoutOf(spec(name)), lists: () => NO_LISTS })
    assert.ok(rules.rules.filter((rule) => rule.isLive).length >= 10)
    assert.equal(rules.rules.filter((rule) => !rule.isLive).length, 2)
    assert.ok(rules.rules.filter((rule) => rule.counters.length > 0).length >= 2)
    assert.equal(rules.skipped.length, name === 'lean' ? 2 : 0)
  }
})

/** For every shipped rule an event on which it must fire; counters by the name they have in the file. */
const FIRING: Readonly<
  Record<string, { fields?: Partial<Transaction>; features?: Record<string, number>; counter?: number; lists?: Lists }>
> = {
  'card-testing-merchant': { fields: { amount: 100 }, counter: 13 },
  'card-testing-address': { fields: { amount: 100 }, counter: 11 },
  'many-cards-on-device': { counter: 5 },
  'repeated-declines': { fields: { amount: 2_100 }, counter: 3 },
  'new-device-large-amount': { fields: { amount: 20_000 }, features: { new_device: 1, amount_to_median: 5 } },
  'contactless-run': { fields: { entry_mode: 'CONTACTLESS', amount: 1_000 }, counter: 6 },
  'foreign-address-mismatch': { fields: { country: 'DE', merchant_country: 'US', avs: 'N', amount: 9_000 } },
  'online-burst': { counter: 70_000 },
  'known-fraud-merchant': { fields: { amount: 5_000 }, features: { merchant_known_fraud_share_30d: 0.5 } },
  'known-fraud-device': { features: { device_known_fraud_count_30d: 1 } },
  'impossible-travel': { fields: { channel: 'POS' }, features: { speed_kmh: 1_000 } },
  'watched-merchant-large': {
    fields: { amount: 40_000 },
    lists: new Lists([{ list: 'watch', field: 'merchant_id', value: 'merchant-1', reason: '', author: '' }]),
  },
  'account-spending-shadow': { counter: 300_000 },
  'wallet-on-new-device-shadow': { fields: { entry_mode: 'WALLET' }, features: { new_device: 1 }, counter: 2 },
}

test('every shipped rule can fire, says why in words, and is silent on a plain event', () => {
  const text = readFileSync(RULES_FILE, 'utf8')
  let lists = NO_LISTS
  const rules: RuleSet = compileRules(text, RULES_FILE, { layout, lists: () => lists })
  assert.deepEqual(rules.rules.map(({ id }) => id).sort(), Object.keys(FIRING).sort())
  for (const rule of rules.rules) {
    const { fields = {}, features = {}, counter = 0, lists: own = NO_LISTS } = FIRING[rule.id]!
    lists = own
    const values = rules.counters.map((_, i) => (rule.counters.includes(i) ? counter : 0))
    const slice = sliceOf(fields, features, values)
    assert.equal(rule.when(slice, 0), true, rule.id)
    const said = rule.say(slice, 0)
    assert.ok(!/[{}]|NaN|undefined/.test(said), said)
    lists = NO_LISTS
    const plain = sliceOf(
      { amount: 1_500 },
      { amount_to_median: 1 },
      rules.counters.map(() => 1),
    )
    assert.equal(rule.when(plain, 0), false, rule.id)
  }
})

test('a text says unknown for a number that is missing', () => {
  const text =
    'version: 1\nrules:\n  - { id: a, when: "amount > 1", action: review, reason: A, owner: o, text: "{signals.none} at {amount} in {90s}, {signals.none > 1}" }\n'
  const { rules } = compileRules(text, 'rules.yaml', { layout, lists: () => NO_LISTS })
  assert.equal(rules[0]!.say(sliceOf({ amount: 250 }), 0), 'unknown at 2.5 in 90 s, unknown')
})

test('equal counters are computed once', () => {
  const counters: CounterSpec[] = []
  const scope = { layout, counters, lists: () => NO_LISTS }
  compileCondition(
    parseExpression('count(device_id, 10m) > 1 or count(device_id, 600s, all) > 2 or count(device_id, 1h) > 3'),
    scope,
  )
  assert.deepEqual(counters.map(counterName), ['count(device_id, 600000ms, all)', 'count(device_id, 3600000ms, all)'])
})

test('names that every object has are neither fields nor parts', () => {
  for (const name of ['toString', 'constructor', '__proto__', 'hasOwnProperty', 'valueOf']) {
    assert.throws(
      () => evaluate(`${name} > 1`, sliceOf({})),
      (error: unknown) => error instanceof WeirError && error.code === 'RULES_INVALID',
      name,
    )
    assert.equal(evaluate(`attributes["${name}"] == ""`, sliceOf({})), true, name)
    assert.equal(evaluate(`signals["${name}"] == 1`, sliceOf({})), null, name)
  }
})

test('a named list ends its entries in time, and a field looks among its own', () => {
  const lists = new Lists([
    { list: 'gone', field: 'merchant_id', value: 'merchant-1', reason: '', author: '', expires: '2026-01-02' },
    { list: 'devices', field: 'device_id', value: 'merchant-1', reason: '', author: '' },
  ])
  const slice = sliceOf({ attributes: { shop: 'merchant-1' } })
  slice.clock = Date.UTC(2026, 0, 1)
  assert.equal(evaluate('merchant_id in list("gone")', slice, lists), true)
  slice.clock = Date.UTC(2026, 0, 2)
  assert.equal(evaluate('merchant_id in list("gone")', slice, lists), false)
  assert.equal(evaluate('merchant_id not in list("gone")', slice, lists), true)
  assert.equal(evaluate('merchant_id in list("devices")', slice, lists), false)
  assert.equal(evaluate('attributes.shop in list("devices")', slice, lists), true)
})

function faultOf(text: string): WeirError {
  try {
    compileRules(text, 'rules.yaml', { layout, lists: () => NO_LISTS })
  } catch (error) {
    if (error instanceof WeirError) return error
    throw error
  }
  throw new Error('no fault was found')
}

test('aliases of nothing, and aliases that unfold without end, are faults of the file', () => {
  const bomb = Array.from({ length: 12 }, (_, i) =>
    i === 0
      ? 'a0: &a0 [x, x, x]'
      : `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
  ).join('\n')
  for (const text of ['version: 1\nrules: *nowhere\n', `${bomb}\nversion: 1\nrules: []\n`]) {
    const { code, where } = faultOf(text)
    assert.equal(code, 'RULES_INVALID')
    assert.match(where, /^rules\.yaml/)
  }
})

test('a fault has its line and column however its text is written', () => {
  const scalars = [
    'amount > 1 and amout > 2',
    '"amount > 1 and amout > 2"',
    "'amount > 1 and amout > 2'",
    '"country == \\"DE\\" and \\u0061mount > 1 and\\tamout > 2"',
    "'country == ''DE'' and amout > 2'",
    '"amount > 1\n      and amout > 2"',
    'amount > 1\n      and\n      amout > 2',
    '>-\n      amount > 1\n      and amout > 2',
    '|\n      amount > 1\n\n        and amout > 2',
    '>2-\n        amount > 1\n      and amout > 2\n',
    '&anchor >- # why\n      amount > 1 and\n      amout > 2',
  ]
  for (const scalar of scalars) {
    const text = `version: 1\nrules:\n  - id: a\n    when: ${scalar}\n    action: review\n    reason: A\n    text: t\n    owner: o\n`
    const before = text.slice(0, text.indexOf('amout')).split('\n')
    const { message, where } = faultOf(text)
    assert.match(message, /amout/)
    assert.equal(where, `rules.yaml line ${before.length}, column ${before.at(-1)!.length + 1}`, scalar)
  }
  const unfinished = faultOf(
    'version: 1\nrules:\n  - id: a\n    when: |\n      amount >\n    action: review\n    reason: A\n    text: t\n    owner: o\n',
  )
  assert.equal(unfinished.where, 'rules.yaml line 5, column 15')
})
