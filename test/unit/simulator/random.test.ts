import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AliasTable, Random, zipfWeights } from '#simulator/random.ts'

const DRAWS = 40_000

test('the same seed gives the same numbers, and another seed others', () => {
  const numbers = (seed: number): number[] => {
    const random = new Random(seed)
    return Array.from({ length: 20 }, () => random.uint32())
  }
  assert.deepEqual(numbers(42), numbers(42))
  assert.notDeepEqual(numbers(42), numbers(43))
  assert.notDeepEqual(numbers(42), numbers(42 + 2 ** 40))
})

test('a fork depends on its purpose and seed, not on what was drawn before', () => {
  const fresh = new Random(1)
  const used = new Random(1)
  for (let i = 0; i < 100; i++) used.uint32()
  assert.equal(fresh.fork('a').uint32(), used.fork('a').uint32())
  assert.notEqual(fresh.fork('a').uint32(), fresh.fork('b').uint32())
  assert.notEqual(fresh.fork('a').uint32(), new Random(2).fork('a').uint32())
})

test('uniform numbers fill their interval evenly', () => {
  const random = new Random(3)
  const bins = new Array<number>(20).fill(0)
  for (let i = 0; i < DRAWS; i++) {
    const value = random.unit()
    assert.ok(value >= 0 && value < 1)
    bins[Math.floor(value * 20)]!++
  }
  const expected = DRAWS / 20
  const chiSquare = bins.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
  // 19 degrees of freedom: 43.8 is passed once in a thousand
  assert.ok(chiSquare < 43.8, `chi square ${chiSquare}`)
})

test('whole numbers reach both of their ends and nothing beyond', () => {
  const random = new Random(4)
  const seen = new Set(Array.from({ length: 500 }, () => random.whole(3, 6)))
  assert.deepEqual(
    [...seen].sort((a, b) => a - b),
    [3, 4, 5, 6],
  )
})

const DISTRIBUTIONS: readonly [string, (random: Random) => number, number, number][] = [
  ['normal', (random) => random.normal(), 0, 1],
  ['exponential', (random) => random.exponential(3), 3, 3],
  ['gamma with shape 2.5', (random) => random.gamma(2.5, 4), 10, Math.sqrt(2.5) * 4],
  ['gamma with shape 0.5', (random) => random.gamma(0.5, 4), 2, Math.sqrt(0.5) * 4],
  ['poisson of 4', (random) => random.poisson(4), 4, 2],
  ['poisson of 100', (random) => random.poisson(100), 100, 10],
  [
    'lognormal',
    (random) => random.lognormal(2, 0.5),
    2 * Math.exp(0.125),
    2 * Math.exp(0.125) * Math.sqrt(Math.exp(0.25) - 1),
  ],
]

for (const [name, draw, mean, deviation] of DISTRIBUTIONS) {
  test(`${name} has its mean and deviation`, () => {
    const random = new Random(5)
    let sum = 0
    let squares = 0
    for (let i = 0; i < DRAWS; i++) {
      const value = draw(random)
      sum += value
      squares += (value - mean) ** 2
    }
    const standardError = deviation / Math.sqrt(DRAWS)
    assert.ok(Math.abs(sum / DRAWS - mean) < 4 * standardError, `mean ${sum / DRAWS}`)
    assert.ok(Math.abs(Math.sqrt(squares / DRAWS) / deviation - 1) < 0.05, `deviation ${Math.sqrt(squares / DRAWS)}`)
  })
}

test('the median of a lognormal is its median', () => {
  const random = new Random(6)
  const values = Array.from({ length: 10_001 }, () => random.lognormal(18, 0.7)).sort((a, b) => a - b)
  assert.ok(Math.abs(values[5_000]! / 18 - 1) < 0.05)
})

test('dirichlet shares sum to one, keep their means and leave out what has no share', () => {
  const random = new Random(7)
  const base = [0.5, 0.3, 0, 0.2]
  const sums = [0, 0, 0, 0]
  for (let i = 0; i < 4_000; i++) {
    const shares = random.dirichlet(base, 20)
    assert.ok(Math.abs(shares.reduce((all, share) => all + share, 0) - 1) < 1e-9)
    shares.forEach((share, at) => (sums[at]! += share / 4_000))
  }
  assert.equal(sums[2], 0)
  base.forEach((share, at) => assert.ok(Math.abs(sums[at]! - share) < 0.01))
})

test('an alias table draws in proportion to its weights, and never what weighs nothing', () => {
  const random = new Random(8)
  const weights = [5, 0, 1, 3, 1]
  const counts = [0, 0, 0, 0, 0]
  const table = new AliasTable(weights)
  for (let i = 0; i < DRAWS; i++) counts[table.draw(random)]!++
  assert.equal(counts[1], 0)
  weights.forEach((weight, at) => assert.ok(Math.abs(counts[at]! / DRAWS - weight / 10) < 0.01))
})

test('zipf weights fall with the power of the rank', () => {
  const weights = zipfWeights(100, 1.1)
  assert.equal(weights[0], 1)
  assert.ok(Math.abs(weights[9]! - 10 ** -1.1) < 1e-12)
})
