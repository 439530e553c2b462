import assert from 'node:assert/strict'
import { test } from 'node:test'
import { watchOverload } from '#cli/watch-overload.ts'

test('it has scoring stop while requests wait too long and go on when they are quick again, one change at a time', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  let nowMs = 0
  let oldestMs = 0
  const asked: boolean[] = []
  const said: string[] = []
  let done = (): void => {}
  const stop = watchOverload({
    waiting: () => ({ requests: 1, oldestMs }),
    now: () => nowMs,
    isOn: false,
    timeoutMs: 1_000,
    control(on) {
      asked.push(on)
      return new Promise((resolve) => {
        done = resolve
      })
    },
    warn: (text) => void said.push(text),
  })
  const pass = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 50) {
      nowMs += 50
      t.mock.timers.tick(50)
    }
  }
  pass(5_000)
  assert.deepEqual(asked, [])
  oldestMs = 900
  pass(400)
  assert.deepEqual(asked, [true])
  assert.match(said[0]!, /rules decide alone/)
  // The change is not in force yet: whatever is seen meanwhile changes nothing.
  oldestMs = 0
  pass(10_000)
  assert.deepEqual(asked, [true])
  done()
  await new Promise((resolve) => setImmediate(resolve))
  pass(2_500)
  assert.deepEqual(asked, [true, false])
  done()
  await new Promise((resolve) => setImmediate(resolve))
  stop()
  oldestMs = 900
  pass(5_000)
  assert.deepEqual(asked, [true, false])
})
