import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { WeirError } from '#schemas/errors.ts'
import { baseFactors, loadRateTable, parseRateTable } from '#schemas/rates.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

const ROOT = new URL('../../../', import.meta.url).pathname

function faultOf(work: () => unknown): WeirError {
  try {
    work()
  } catch (error) {
    if (error instanceof WeirError) return error
    throw error
  }
  throw new Error('no fault was found')
}

test('the shipped rates are a rate table, and every factor is a number', () => {
  const table = loadRateTable(`${ROOT}pipeline/rates.default.json`, 'EUR')
  assert.ok([...baseFactors(table).values()].every((factor) => Number.isFinite(factor) && factor > 0))
})

test('a rate table with a fault is refused by key, value and what is allowed, with exit code 2', () => {
  const table = (fields: object): unknown => ({ version: 'v', base: 'EUR', rates: { USD: 1.1 }, ...fields })
  const faults: readonly [unknown, RegExp][] = [
    [table({ rates: { USD: '1.1' } }), /rates\.USD is "1\.1"; a rate is a number above 0/],
    [table({ rates: { USD: 0 } }), /rates\.USD is 0;/],
    [table({ rates: { USD: -1 } }), /rates\.USD is -1;/],
    [table({ rates: { USD: null } }), /rates\.USD is null;/],
    [table({ rates: { usd: 1.1 } }), /rates\.usd is no currency; use three capital letters/],
    [table({ rates: { EUR: 2 } }), /rates\.EUR is 2, but EUR is the base: 1/],
    [table({ base: 'USD' }), /base is "USD", it must be EUR/],
    [table({ version: '' }), /^version: /],
    [table({ rates: undefined }), /^rates: /],
    [table({ rate: {} }), /"rate"/],
    [[], /^\(file\): /],
    [null, /^\(file\): /],
  ]
  for (const [input, message] of faults) {
    const fault = faultOf(() => parseRateTable(input, 'EUR', 'rates.json'))
    assert.match(fault.message, message)
    assert.deepEqual([fault.code, fault.exitCode, fault.where], ['CONFIG_INVALID', 2, 'rates.json'])
    assert.match(fault.fix, /"base": "EUR"/)
  }
  const two = faultOf(() => parseRateTable(table({ rates: { USD: 0, CHF: 'x' } }), 'EUR', 'rates.json'))
  assert.match(two.message, /rates\.USD[^]*rates\.CHF/)
})

test('a file that is missing or no JSON is told apart', async () => {
  await inTempFolder(async (folder) => {
    const file = join(folder, 'rates.json')
    assert.match(faultOf(() => loadRateTable(file, 'EUR')).message, /does not exist/)
    writeFileSync(file, '{')
    const fault = faultOf(() => loadRateTable(file, 'EUR'))
    assert.match(fault.message, /cannot be read/)
    assert.equal(fault.where, file)
  })
})
