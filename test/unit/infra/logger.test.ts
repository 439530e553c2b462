import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { createLogger, createSilentLogger } from '#infra/logger.ts'
import { WeirError } from '#schemas/errors.ts'

function loggerInto(lines: string[], isForPeople: boolean) {
  return createLogger({ level: 'info', isForPeople, write: (line) => void lines.push(line) })
}

test('machines get one JSON object a line, with level and time', () => {
  const lines: string[] = []
  const logger = loggerInto(lines, false)
  logger.debug('unheard')
  logger.info({ line: 7 }, 'caught up')
  assert.equal(lines.length, 1)
  const { time, ...rest } = JSON.parse(lines[0]!) as { time: string }
  assert.deepEqual(rest, { level: 'info', line: 7, msg: 'caught up' })
  assert.match(time, /^\d{4}-\d{2}-\d{2}T.*Z$/)
})

test('people get the time of day, the level, the sentence and the fields', () => {
  const lines: string[] = []
  loggerInto(lines, true).info({ rows: 3, what: { a: 1 } }, 'written')
  assert.match(stripVTControlCharacters(lines[0]!), /^\d\d:\d\d:\d\d info  written rows=3 what=\{"a":1\}\n$/)
})

test('an error is told without its cause, which may hold rows', () => {
  for (const isForPeople of [true, false]) {
    const lines: string[] = []
    const err = new WeirError('STORE_FAILED', 'insert failed', { where: 'alerts', cause: new Error('row: secret') })
    loggerInto(lines, isForPeople).error({ err }, 'will try again')
    assert.match(lines.join(''), /STORE_FAILED/)
    assert.match(lines.join(''), /alerts/)
    assert.doesNotMatch(lines.join(''), /secret/)
  }
})

test('card numbers are masked wherever they stand, and the line stays JSON', () => {
  const lines: string[] = []
  const logger = loggerInto(lines, false)
  logger.warn(
    { id: 4111111111111111, deep: { text: ['a 4111 1111 1111 1111'] }, order: 1234567890123456 },
    'of 4111111111111111',
  )
  logger.error(new Error('at 5500000000000004'))
  assert.deepEqual(
    { ...(JSON.parse(lines[0]!) as object), time: '' },
    {
      level: 'warn',
      time: '',
      id: '****1111',
      deep: { text: ['a ****1111'] },
      order: 1234567890123456,
      msg: 'of ****1111',
    },
  )
  assert.doesNotMatch(lines[1]!, /5500000000000004/)
})

test('a silent logger says nothing', () => {
  createSilentLogger().fatal('unheard')
})
