import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { cardToken, createTokenizer, loadTokenKey } from '#infra/tokenizer.ts'
import { TEXT_FIELDS } from '#schemas/transaction.ts'
import { labelOf, transactionOf } from '#test/support/transactions.ts'

const key = Buffer.alloc(32, 7)
const PAN = '4111111111111111'

test('a card number in any text field, attribute or name of a map is replaced by the same token', () => {
  const tokenizer = createTokenizer(key)
  const token = cardToken(key, PAN)
  assert.match(token, /^tk_[\w-]{22}$/)
  for (const field of TEXT_FIELDS) {
    const cleaned = tokenizer.transaction(transactionOf({ [field]: PAN }))
    assert.equal(cleaned[field], token, field)
  }
  const inMaps = tokenizer.transaction(
    transactionOf({ attributes: { note: `card ${PAN}`, [PAN]: 'x' }, signals: { [`s${PAN}`]: 1 } }),
  )
  assert.deepEqual(inMaps.attributes, { note: `card ${token}`, [token]: 'x' })
  assert.deepEqual(inMaps.signals, { [`s${token}`]: 1 })
  assert.equal(tokenizer.replaced.get('card_id'), 1)
})

test('labels get the token that their transaction got', () => {
  const tokenizer = createTokenizer(key)
  assert.equal(tokenizer.label(labelOf({ card_id: PAN })).card_id, cardToken(key, PAN))
})

test('a transaction without a card number is passed on as the same object', () => {
  const transaction = transactionOf({ merchant_id: '100000000000008' })
  assert.equal(createTokenizer(key).transaction(transaction), transaction)
})

test('the key is made once, readable by its owner only, and a damaged one is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weir-token-'))
  try {
    const file = join(folder, 'keys', 'token.key')
    assert.deepEqual(loadTokenKey(file), loadTokenKey(file))
    assert.equal(statSync(file).mode & 0o777, 0o600)
    writeFileSync(file, 'nonsense')
    assert.throws(() => loadTokenKey(file), { code: 'CONFIG_INVALID' })
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a signal that is a card number is left out, and others stay', () => {
  const tokenizer = createTokenizer(key)
  const { signals } = tokenizer.transaction(transactionOf({ signals: { a: Number(PAN), b: 4_111, c: 0.5 } }))
  assert.deepEqual(signals, { b: 4_111, c: 0.5 })
  assert.equal(tokenizer.replaced.get('signals'), 1)
})
