import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { Lifecycle, onStopSignal, type Part } from '#infra/lifecycle.ts'

const never = (): Promise<void> => new Promise(() => {})

function recorded(): { events: string[]; part: (name: string, changes?: Partial<Part>) => Part } {
  const events: string[] = []
  return {
    events,
    part: (name, changes = {}) => ({
      name,
      startWithinMs: changes.startWithinMs ?? 60_000,
      stopWithinMs: changes.stopWithinMs ?? 60_000,
      async start(signal) {
        events.push(`start ${name}`)
        await changes.start?.(signal)
      },
      async stop() {
        events.push(`stop ${name}`)
        await changes.stop?.()
      },
    }),
  }
}

test('parts start in order, each when the one before is ready, and stop in reverse', async () => {
  const { events, part } = recorded()
  const lifecycle = new Lifecycle([
    part('log', {
      async start() {
        await Promise.resolve()
        events.push('log is ready')
      },
    }),
    part('path'),
    part('service'),
  ])
  assert.equal(await lifecycle.start(), true)
  await lifecycle.stop()
  await lifecycle.stop()
  assert.deepEqual(events, [
    'start log',
    'log is ready',
    'start path',
    'start service',
    'stop service',
    'stop path',
    'stop log',
  ])
})

test('when one does not start, those before it are stopped, and its error is the one that is told', async () => {
  const { events, part } = recorded()
  const lifecycle = new Lifecycle([
    part('log', { stop: () => Promise.reject(new Error('told second')) }),
    part('store', { start: () => Promise.reject(new Error('told first')) }),
    part('service'),
  ])
  await assert.rejects(lifecycle.start(), /told first/)
  assert.deepEqual(events, ['start log', 'start store', 'stop log'])
  assert.equal(lifecycle.signal.aborted, true)
})

test('a start that misses its deadline is named, and stopped too', async () => {
  const { events, part } = recorded()
  const lifecycle = new Lifecycle([part('log'), part('store', { start: never, startWithinMs: 1 }), part('service')])
  await assert.rejects(lifecycle.start(), { code: 'TIMEOUT', message: 'store did not start within 1 ms' })
  assert.deepEqual(events, ['start log', 'start store', 'stop store', 'stop log'])
})

test('a stop that fails or is late does not keep the others from stopping, and the first failure is told', async () => {
  const { events, part } = recorded()
  const lifecycle = new Lifecycle([
    part('log'),
    part('store', { stop: () => Promise.reject(new Error('told second')) }),
    part('service', { stop: never, stopWithinMs: 1 }),
  ])
  await lifecycle.start()
  await assert.rejects(lifecycle.stop(), { code: 'TIMEOUT', message: 'service did not stop within 1 ms' })
  assert.deepEqual(events.slice(3), ['stop service', 'stop store', 'stop log'])
})

test('a stop during the start lets the part under way end, starts no other, and is no error', async () => {
  const { events, part } = recorded()
  const lifecycle: Lifecycle = new Lifecycle([
    part('log'),
    part('store', {
      start: (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('told to give up')))
        }),
    }),
    part('service'),
  ])
  const started = lifecycle.start()
  while (!events.includes('start store')) await Promise.resolve()
  await lifecycle.stop()
  assert.equal(await started, false)
  assert.deepEqual(events, ['start log', 'start store', 'stop log'])
})

test('a stop before the start starts nothing', async () => {
  const { events, part } = recorded()
  const lifecycle = new Lifecycle([part('log')])
  await lifecycle.stop()
  assert.equal(await lifecycle.start(), false)
  assert.deepEqual(events, [])
})

test('the first signal stops, every further one exits at once, and then nobody listens', () => {
  const source = new EventEmitter()
  const calls: (string | number)[] = []
  const unlisten = onStopSignal({ source, stop: (signal) => calls.push(signal), exit: (code) => calls.push(code) })
  source.emit('SIGTERM')
  source.emit('SIGINT')
  source.emit('SIGTERM')
  assert.deepEqual(calls, ['SIGTERM', 130, 143])
  unlisten()
  assert.deepEqual(source.eventNames(), [])
})
