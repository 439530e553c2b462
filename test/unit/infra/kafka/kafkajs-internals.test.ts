import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { clampIdleTimers } from '#infra/kafka/kafkajs-internals.ts'

interface RequestQueue {
  throttledUntil: number
  throttleCheckTimeoutId: NodeJS.Timeout | null
  maybeThrottle(ms: number): void
  fulfillRequest(answer: { readonly correlationId: number; readonly payload: Buffer; readonly size: number }): void
  push(request: object): void
  destroy(): void
}

test('an answer with nothing else to send arms no timer, and a broker that asks for a pause still gets it', () => {
  clampIdleTimers()
  clampIdleTimers()
  const require = createRequire(import.meta.url)
  const Queue = require('kafkajs/src/network/requestQueue') as new (options: object) => RequestQueue
  const logger = { debug() {}, warn() {} }
  const queue = new Queue({ maxInFlightRequests: null, requestTimeout: 1_000, clientId: 'c', broker: 'b', logger })
  const sent: number[] = []
  const push = (correlationId: number): void => {
    const entry = { correlationId, apiName: 'x', apiKey: 0, apiVersion: 0, resolve() {}, reject() {} }
    queue.push({ entry, expectResponse: true, sendRequest: () => void sent.push(correlationId) })
  }
  push(1)
  queue.fulfillRequest({ correlationId: 1, payload: Buffer.alloc(0), size: 0 })
  assert.equal(queue.throttleCheckTimeoutId, null)
  queue.maybeThrottle(60_000)
  push(2)
  assert.deepEqual(sent, [1])
  assert.notEqual(queue.throttleCheckTimeoutId, null)
  queue.destroy()
})
