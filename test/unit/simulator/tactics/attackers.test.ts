import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Accounts } from '#simulator/accounts.ts'
import { AddressBook } from '#simulator/addresses.ts'
import { Merchants } from '#simulator/merchants.ts'
import { OpaqueIds } from '#simulator/opaque-ids.ts'
import { HOME_COUNTRIES } from '#simulator/places.ts'
import { Random } from '#simulator/random.ts'
import { Attackers } from '#simulator/tactics/attackers.ts'
import { STOLEN_DETAILS, TAKEOVER } from '#simulator/tactics/tactics.ts'

const HOUR_MS = 3_600_000
const START_MS = Date.UTC(2025, 0, 6)

function createAttackers(seed: number): Attackers {
  const random = new Random(seed)
  const ids = new OpaqueIds(random.fork('ids'))
  const merchants = new Merchants(random.fork('merchants'), ids, 400, START_MS)
  const addresses = new AddressBook(random.fork('addresses'), 200, HOME_COUNTRIES)
  const accounts = new Accounts(random.fork('accounts'), ids, merchants, addresses, 200, START_MS)
  return new Attackers(random.fork('attackers'), accounts, merchants, addresses, ids, START_MS)
}

function hasReacted(attackers: Attackers, timeMs: number): boolean {
  return (
    attackers.amountFactor(STOLEN_DETAILS) < 1 ||
    attackers.turns(STOLEN_DETAILS) > 0 ||
    attackers.isPaused(STOLEN_DETAILS, timeMs)
  )
}

test('more than 70 percent stopped within a day makes a tactic halve amounts, turn elsewhere or pause', () => {
  const reactions = new Set<string>()
  for (let seed = 1; seed <= 20; seed++) {
    const attackers = createAttackers(seed)
    for (let i = 0; i < 10; i++) attackers.hear(STOLEN_DETAILS, i !== 0, START_MS + i * HOUR_MS)
    const nowMs = START_MS + 9 * HOUR_MS
    assert.ok(hasReacted(attackers, nowMs))
    assert.equal(attackers.amountFactor(TAKEOVER), 1)
    if (attackers.amountFactor(STOLEN_DETAILS) === 0.5) reactions.add('halves')
    if (attackers.turns(STOLEN_DETAILS) === 1) reactions.add('turns')
    if (attackers.isPaused(STOLEN_DETAILS, nowMs)) reactions.add('pauses')
  }
  assert.deepEqual([...reactions].sort(), ['halves', 'pauses', 'turns'])
})

test('seventy percent or less, or stops spread over days, change nothing', () => {
  const some = createAttackers(1)
  for (let i = 0; i < 20; i++) some.hear(STOLEN_DETAILS, i % 10 >= 4, START_MS + i * HOUR_MS)
  assert.equal(hasReacted(some, START_MS + 20 * HOUR_MS), false)
  const spread = createAttackers(1)
  for (let i = 0; i < 20; i++) spread.hear(STOLEN_DETAILS, true, START_MS + i * 7 * HOUR_MS)
  assert.equal(hasReacted(spread, START_MS + 140 * HOUR_MS), false)
})

test('what thieves are after changes every 45 days', () => {
  const attackers = createAttackers(3)
  const favourite = (): number => {
    const counts = new Map<number, number>()
    for (let i = 0; i < 2_000; i++) {
      const line = attackers.drawLine()
      counts.set(line, (counts.get(line) ?? 0) + 1)
    }
    return [...counts].sort((a, b) => b[1] - a[1])[0]![0]
  }
  const favourites = new Set<number>()
  for (let day = 0; day < 20 * 45; day += 45) {
    attackers.advanceTo(START_MS + day * 24 * HOUR_MS)
    favourites.add(favourite())
  }
  assert.ok(favourites.size > 1)
})

test('four of ten new sessions come from another country than the card, when that is asked for', () => {
  const attackers = createAttackers(4)
  let foreign = 0
  for (let i = 0; i < 3_000; i++) {
    const session = attackers.newSession(1, 0.4, 0.5, 0.1)
    assert.notEqual(session.address, '')
    if (session.country !== 1) foreign++
  }
  assert.ok(Math.abs(foreign / 3_000 - 0.4) < 0.04)
})
