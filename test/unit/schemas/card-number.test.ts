import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { findCardNumber, isCardNumber, maskCardNumbers, passesLuhn } from '#schemas/card-number.ts'

/** Published test numbers of the schemes. */
const TEST_NUMBERS = ['4111111111111111', '5555555555554444', '378282246310005', '6011111111111117', '3530111333300000']

test('test numbers of the schemes are found, grouped or not, anywhere in a text', () => {
  for (const number of TEST_NUMBERS) {
    assert.ok(isCardNumber(number), number)
    const grouped = number.replace(/(\d{4})(?=\d)/g, '$1 ')
    for (const text of [number, grouped, grouped.replaceAll(' ', '-'), `id-${number}`, `paid with ${grouped}.`]) {
      assert.equal(findCardNumber(text)?.digits, number, text)
      assert.ok(!maskCardNumbers(text).replace(/[ -]/g, '').includes(number))
    }
  }
})

test('merchant ids that merely pass the check digit are left alone', () => {
  for (const id of ['100000000000009', '999999999999994', '9000000000000001', '12345678903555']) {
    assert.ok(passesLuhn(id), id)
    assert.equal(findCardNumber(id), null, id)
  }
})

test('masking keeps everything else as it was', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (before, after) => {
      const [a, b] = [before.replace(/\d/g, 'x'), after.replace(/\d/g, 'x')]
      assert.equal(maskCardNumbers(`${a}|4111111111111111|${b}`), `${a}|****1111|${b}`)
    }),
  )
})

test('changing one digit of a card number breaks its check digit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 1, max: 9 }), (place, change) => {
      const digits = '4111111111111111'.split('')
      digits[place] = String((Number(digits[place]) + change) % 10)
      assert.ok(!passesLuhn(digits.join('')))
    }),
  )
})

test('a card number is found beside other groups of digits', () => {
  for (const number of TEST_NUMBERS) {
    const grouped = number.replace(/(\d{4})(?=\d)/g, '$1-')
    for (const text of [`12 ${number}`, `${grouped} 12/29`, `0 0 ${grouped} 123`, `2026-01-15 ${grouped}`]) {
      const found = findCardNumber(text)
      assert.equal(found?.digits, number, text)
      assert.equal(text.slice(found.start, found.end).replaceAll('-', ''), number)
    }
  }
  assert.equal(findCardNumber('1234 5678 9012 3456 7890'), null)
})
