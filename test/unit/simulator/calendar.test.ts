import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Calendar, DAY_MS, dayOfMonth, HOUR_MS, weekday } from '#simulator/calendar.ts'
import { Random } from '#simulator/random.ts'

const MONDAY_MS = Date.UTC(2025, 0, 6)

test('weekdays and days of the month are those of the calendar', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 90_000 }), (day) => {
      const date = new Date(day * DAY_MS)
      assert.equal(weekday(day), (date.getUTCDay() + 6) % 7)
      assert.equal(dayOfMonth(day), date.getUTCDate())
    }),
  )
})

function shareOfNight(online: boolean): number {
  const calendar = new Calendar(MONDAY_MS)
  let night = 0
  let all = 0
  for (let at = MONDAY_MS; at < MONDAY_MS + DAY_MS; at += HOUR_MS / 4) {
    const intensity = calendar.intensity(at, online)
    all += intensity
    if (at < MONDAY_MS + 5 * HOUR_MS) night += intensity
  }
  return night / all
}

test('three percent of what is paid in stores and eight of what is paid online fall between 0 and 5 h', () => {
  assert.ok(Math.abs(shareOfNight(false) - 0.03) < 1e-9)
  assert.ok(Math.abs(shareOfNight(true) - 0.08) < 1e-9)
})

test('noon and early evening are the peaks', () => {
  const calendar = new Calendar(MONDAY_MS)
  for (const online of [false, true]) {
    const hours = Array.from({ length: 24 }, (_, hour) =>
      calendar.intensity(MONDAY_MS + (hour + 0.5) * HOUR_MS, online),
    )
    for (const [peak, before, after] of [
      [12, 10, 15],
      [18, 15, 22],
    ] as const) {
      assert.ok(hours[peak]! > hours[before]! && hours[peak]! > hours[after]!)
    }
  }
})

test('a year of days averages one, Friday is busier than Sunday, and one day a year is a sale online', () => {
  const calendar = new Calendar(MONDAY_MS)
  const noon = (day: number, online: boolean): number => calendar.intensity(MONDAY_MS + (day + 0.51) * DAY_MS, online)
  const ratios = Array.from({ length: 364 }, (_, day) => noon(day, true) / noon(day, false))
  const usual = ratios[0]!
  assert.deepEqual(
    ratios.flatMap((ratio, day) => (ratio > usual * 2 ? [day] : [])).map((day) => weekday(MONDAY_MS / DAY_MS + day)),
    [4],
  )
  let sum = 0
  for (let day = 0; day < 364; day++) {
    for (let quarter = 0; quarter < 96; quarter++) {
      sum += calendar.intensity(MONDAY_MS + day * DAY_MS + quarter * 15 * 60_000, false)
    }
  }
  assert.ok(Math.abs(sum / 364 / 96 - 1) < 0.01)
  assert.ok(noon(11, false) / noon(13, false) > 1.3)
})

test('times of day are drawn as the hours weigh', () => {
  const calendar = new Calendar(MONDAY_MS)
  const random = new Random(9)
  let night = 0
  for (let i = 0; i < 20_000; i++) {
    const at = calendar.drawTimeOfDay(random, true)
    assert.ok(at >= 0 && at < DAY_MS)
    if (at < 5 * HOUR_MS) night++
  }
  assert.ok(Math.abs(night / 20_000 - 0.08) < 0.01)
})
