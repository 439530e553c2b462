import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { OverloadController, overloadLimits } from '#pipeline/overload.ts'

const LIMITS = { slowMs: 500, quickMs: 100, slowForMs: 200, quickForMs: 1_000, quickForMsMax: 8_000 }
const STEP_MS = 50

/** Shows a wait for so long, look by look, and gives the changes with the times at which they came. */
function show(controller: OverloadController, clock: { ms: number }, oldestMs: number, forMs: number) {
  const changes: [number, boolean][] = []
  for (const end = clock.ms + forMs; clock.ms < end; clock.ms += STEP_MS) {
    const change = controller.observe(clock.ms, oldestMs)
    if (change !== null) changes.push([clock.ms, change])
  }
  return changes
}

test('scoring stops when requests have been slow for long enough, and goes on when they have been quick for long enough', () => {
  const controller = new OverloadController(LIMITS, false)
  const clock = { ms: 0 }
  assert.deepEqual(show(controller, clock, 500, 5_000), [])
  assert.deepEqual(show(controller, clock, 501, 500), [[5_200, true]])
  assert.equal(controller.isOn, true)
  // Neither slow nor quick: as it is.
  assert.deepEqual(show(controller, clock, 300, 5_000), [])
  assert.deepEqual(show(controller, clock, 100, 2_000), [[11_500, false]])
  assert.equal(controller.isOn, false)
})

test('neither one slow moment nor one quick one is enough', () => {
  const controller = new OverloadController(LIMITS, false)
  const clock = { ms: 0 }
  for (let n = 0; n < 20; n++) {
    assert.deepEqual(show(controller, clock, 900, 200), [])
    assert.deepEqual(show(controller, clock, 0, 50), [])
  }
  assert.deepEqual(show(controller, clock, 900, 250).length, 1)
  for (let n = 0; n < 20; n++) {
    assert.deepEqual(show(controller, clock, 0, 1_000), [])
    assert.deepEqual(show(controller, clock, 101, 50), [])
  }
})

test('where scoring brings the trouble back the pause doubles, up to its limit, and after a good time it is short again', () => {
  const controller = new OverloadController(LIMITS, false)
  const clock = { ms: 0 }
  const pauses: number[] = []
  for (let n = 0; n < 6; n++) {
    const [[stoppedMs]] = show(controller, clock, 900, 250) as [[number, boolean]]
    const [[resumedMs]] = show(controller, clock, 0, 9_000).slice(0, 1) as [[number, boolean]]
    pauses.push(resumedMs - stoppedMs)
    clock.ms = resumedMs + STEP_MS
  }
  assert.deepEqual(pauses, [1_050, 2_050, 4_050, 8_050, 8_050, 8_050])
  show(controller, clock, 0, 60_000)
  const [[stoppedMs]] = show(controller, clock, 900, 250) as [[number, boolean]]
  const [[resumedMs]] = show(controller, clock, 0, 9_000) as [[number, boolean]]
  assert.equal(resumedMs - stoppedMs, 1_050)
})

test('after a restart it goes on from what is in force', () => {
  const controller = new OverloadController(LIMITS, true)
  assert.deepEqual(show(controller, { ms: 0 }, 0, 2_000), [[1_000, false]])
})

test('whatever it is shown, it says each change once, in turn, and never two within the shorter of its times', () => {
  const looks = fc.array(
    fc.record({
      stepMs: fc.integer({ min: 1, max: 400 }),
      oldestMs: fc.constantFrom(0, 100, 101, 400, 500, 501, 2_000),
    }),
    { maxLength: 200 },
  )
  fc.assert(
    fc.property(looks, fc.boolean(), (shown, isOn) => {
      const controller = new OverloadController(LIMITS, isOn)
      const twin = new OverloadController(LIMITS, isOn)
      let state = isOn
      let nowMs = 0
      let changedMs = Number.NEGATIVE_INFINITY
      for (const { stepMs, oldestMs } of shown) {
        nowMs += stepMs
        const change = controller.observe(nowMs, oldestMs)
        assert.equal(twin.observe(nowMs, oldestMs), change)
        if (change === null) continue
        assert.notEqual(change, state)
        assert.ok(nowMs - changedMs >= LIMITS.slowForMs)
        state = change
        changedMs = nowMs
      }
      assert.equal(controller.isOn, state)
    }),
  )
})

test('the limits follow from the time after which requests are given up, with room between slow and quick', () => {
  for (const timeoutMs of [1, 100, 1_000, 60_000]) {
    const { slowMs, quickMs, slowForMs, quickForMs, quickForMsMax } = overloadLimits(timeoutMs)
    assert.ok(quickMs < slowMs && slowMs + slowForMs <= timeoutMs && quickForMs < quickForMsMax)
  }
})
