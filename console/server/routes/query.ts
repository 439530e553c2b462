import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { WeirError } from '#schemas/errors.ts'
import type { ServicePorts } from '../ports.ts'

const requestShape = z.union([
  z.strictObject({ name: z.string(), params: z.record(z.string(), z.unknown()).default({}) }),
  z.strictObject({ sql: z.string().max(100_000) }),
])

/** `GET /v1/queries` lists the named ones; `POST /v1/query` runs one, or read-only SQL. */
export function registerQuery(app: FastifyInstance, ports: ServicePorts): void {
  app.get('/v1/queries', async () => ports.listQueries())
  app.post('/v1/query', async (request) => {
    const parsed = requestShape.safeParse(request.body)
    if (!parsed.success) throw new WeirError('QUERY_INVALID', 'give {"name", "params"} or {"sql"}')
    return ports.query(parsed.data)
  })
}
