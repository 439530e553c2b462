import type { FastifyInstance } from 'fastify'
import type { InputEvent } from '#pipeline/gateway.ts'
import { WeirError } from '#schemas/errors.ts'
import { parseLabel, parseTransaction } from '#schemas/json-input.ts'
import type { ServicePorts } from '../ports.ts'
import { withTime } from './score.ts'

const EVENTS_MAX = 10_000

/** `POST /v1/transactions` and `/v1/labels`: one object, an array, or a line each; answered when all are durable. */
export function registerInput(app: FastifyInstance, ports: ServicePorts): void {
  app.post('/v1/transactions', async (request) =>
    ports.submit(
      itemsOf(request.body).map((item, index): InputEvent => {
        const parsed = parseTransaction(withTime(item, ports))
        if (!parsed.ok) throw invalid(index, parsed)
        return { transaction: parsed.value }
      }),
    ),
  )
  app.post('/v1/labels', async (request) =>
    ports.submit(
      itemsOf(request.body).map((item, index): InputEvent => {
        const parsed = parseLabel(item)
        if (!parsed.ok) throw invalid(index, parsed)
        return { label: parsed.value }
      }),
    ),
  )
}

function itemsOf(body: unknown): readonly unknown[] {
  const items = typeof body === 'string' ? linesOf(body) : Array.isArray(body) ? (body as unknown[]) : [body]
  if (items.length > EVENTS_MAX) {
    throw new WeirError('INPUT_INVALID', `at most ${EVENTS_MAX} events in one request, got ${items.length}`)
  }
  return items
}

function linesOf(body: string): unknown[] {
  return body
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line, index) => {
      try {
        return JSON.parse(line) as unknown
      } catch {
        throw new WeirError('INPUT_INVALID', 'not valid JSON', { where: `line ${index + 1}` })
      }
    })
}

function invalid(index: number, { field, problem }: { field: string; problem: string }): WeirError {
  return new WeirError('INPUT_INVALID', `field ${field}: ${problem}`, {
    where: `event ${index}`,
    fix: 'Nothing was taken.',
  })
}
