import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { describeFeature, describePastEvent } from '#models/features/describe.ts'
import { layoutOf } from '#models/features/layout.ts'
import { loadFeatureSpec } from '#models/features/shipped-specs.ts'

const layout = layoutOf(
  loadFeatureSpec('default', new URL('../../../../models/features/specs', import.meta.url).pathname),
)

/** Words for a value of the default spec's column with this name. */
function say(name: string, value: number): string {
  const index = layout.currentColumns.findIndex((column) => column.name === name)
  assert.ok(index >= 0, `the default spec has no column ${name}`)
  return describeFeature(layout, index, value)
}

describe('a feature in words', () => {
  test('names the figure, the entity and the window', () => {
    assert.equal(say('device_cards_1d', 11), '11 cards on this device in 24 hours')
    assert.equal(say('card_count_10m', 4), '4 events on this card in 10 minutes')
    assert.equal(say('card_sum_1h', 125_000), '1,250.00 on this card in an hour')
    assert.equal(say('merchant_declined_share_10m', 0.925), '93 % declined at this merchant in 10 minutes')
    assert.equal(say('ip_cards_1h', 40), '40 cards from this address in an hour')
    assert.equal(say('merchant_known_fraud_count_7d', 1), '1 known fraud at this merchant in 7 days')
  })

  test('turns logarithms back into amounts and times', () => {
    assert.equal(say('log_amount', Math.fround(Math.log1p(12_345))), 'amount 123.45')
    assert.equal(say('log_gap', Math.log1p(90_000)), "2 minutes after this card's last event")
    assert.equal(say('log_card_age', 0), 'card not seen before')
    assert.equal(
      say('merchant_log_since_known_fraud', Math.log1p(3 * 86_400_000)),
      'last known fraud at this merchant 3 days earlier',
    )
  })

  test('compares with the habit of the card', () => {
    assert.equal(say('amount_to_median', 9.34), "amount 9.3 times this card's median")
    assert.equal(say('amount_deviation', 12.3), "amount 12 deviations above this card's mean")
    assert.equal(say('new_device', 1), 'device new to this card')
    assert.equal(say('speed_kmh', 1_240), '1,240 km/h from where the card was last')
  })

  test('says nothing where the value is ordinary or tells nothing on its own', () => {
    for (const [name, value] of [
      ['card_count_1h', 1],
      ['amount_to_median', 1],
      ['new_device', 0],
      ['hour_sin', 0.5],
      ['category_3', 1],
      ['merchant_log_since_known_fraud', Math.log1p(365 * 86_400_000)],
    ] as const) {
      assert.equal(say(name, value), '', name)
    }
  })

  test('has words for every column of the shipped specs but those that come in groups', () => {
    const silent = layout.currentColumns.filter(({ name }, i) => {
      return [0, 1, 3, 8].every((value) => describeFeature(layout, i, value) === '') && !/_(sin|cos|\d+)$/.test(name)
    })
    assert.deepEqual(silent, [])
  })

  test('writes money as it is told to', () => {
    const index = layout.currentColumns.findIndex(({ name }) => name === 'card_sum_1h')
    assert.equal(
      describeFeature(layout, index, 500, (minor) => `JPY ${minor}`),
      'JPY 500 on this card in an hour',
    )
  })
})

describe('a past event in words', () => {
  test('tells amount, place, time and what was unusual', () => {
    const numbers: Readonly<Record<string, number>> = {
      log_amount: Math.log1p(250),
      channel_ecom: 1,
      hour_sin: Math.sin((2 * Math.PI * 190) / 1_440),
      hour_cos: Math.cos((2 * Math.PI * 190) / 1_440),
      log_gap: Math.log1p(120_000),
      new_device: 1,
    }
    const values = Float32Array.from(layout.historyColumns, ({ name }) => numbers[name] ?? 0)
    assert.equal(
      describePastEvent(layout, 2, values),
      "the card's event 2 before this one: 2.50 online, at 03:10 UTC, 2 minutes after the event before it, new device",
    )
  })
})
