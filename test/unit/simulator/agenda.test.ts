import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Agenda } from '#simulator/agenda.ts'

test('tasks run in order of time, and at one time in order of planning', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { maxLength: 3_000 }), (times) => {
      const agenda = new Agenda()
      const ran: [number, number][] = []
      times.forEach((timeMs, i) => agenda.at(timeMs, (at, argument) => void ran.push([at, argument]), i))
      while (agenda.size > 0) agenda.runNext()
      const expected = times.map((timeMs, i): [number, number] => [timeMs, i])
      expected.sort((a, b) => a[0] - b[0] || a[1] - b[1])
      assert.deepEqual(ran, expected)
    }),
    { numRuns: 30 },
  )
})

test('a task may plan others, also at its own time', () => {
  const agenda = new Agenda()
  const ran: string[] = []
  agenda.at(5, () => {
    ran.push('first')
    agenda.at(5, () => void ran.push('same time'))
    agenda.at(4, () => void ran.push('overdue'))
  })
  agenda.at(6, () => void ran.push('last'))
  while (agenda.nextMs < Number.POSITIVE_INFINITY) agenda.runNext()
  assert.deepEqual(ran, ['first', 'overdue', 'same time', 'last'])
})
