import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Intake, type IntakeItem } from '#pipeline/intake.ts'

const item = (name: string): IntakeItem => ({ topic: name, key: name, value: Buffer.alloc(0), waiter: null })

test('items come out in the order they went in, and a full queue takes no more', () => {
  const intake = new Intake(3)
  for (let round = 0; round < 5; round++) {
    assert.ok(intake.push(item('a')) && intake.push(item('b')) && intake.push(item('c')))
    assert.equal(intake.push(item('d')), false)
    assert.deepEqual([intake.shift().topic, intake.shift().topic, intake.shift().topic], ['a', 'b', 'c'])
    assert.equal(intake.peek(), undefined)
  }
})

test('a writer waits until half the queue is free', async () => {
  const intake = new Intake(2)
  intake.push(item('a'))
  intake.push(item('b'))
  let woken = false
  const room = intake.room().then(() => {
    woken = true
  })
  await Promise.resolve()
  assert.equal(woken, false)
  intake.shift()
  await room
  assert.equal(woken, true)
})

test('an arrival wakes the reader, and so does an abort', async () => {
  const intake = new Intake(2)
  const arrival = intake.arrival(new AbortController().signal)
  intake.push(item('a'))
  await arrival
  intake.shift()
  const stop = new AbortController()
  const aborted = intake.arrival(stop.signal)
  stop.abort()
  await aborted
})

test('closing tells everybody who waits', async () => {
  const intake = new Intake(1)
  const reason = new Error('stopped')
  const failed = new Promise<unknown>((resolve) => {
    intake.push({ ...item('a'), waiter: { settle: () => {}, fail: resolve } })
  })
  const room = assert.rejects(intake.room(), /stopped/)
  intake.close(reason)
  assert.equal(await failed, reason)
  await room
  assert.equal(intake.push(item('b')), false)
})
