import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { WeirError } from '#schemas/errors.ts'
import type { ServicePorts } from '../ports.ts'

const promoteShape = z.strictObject({ version: z.string().min(1).max(200) })

/** Models and rules: what changes outcomes goes through the journal, so each of these answers when it is in force. */
export function registerAdmin(app: FastifyInstance, ports: ServicePorts): void {
  app.get('/v1/models', async () => ports.models())
  app.post('/v1/models/promote', async (request) => {
    const parsed = promoteShape.safeParse(request.body)
    if (!parsed.success) throw new WeirError('USAGE', 'give {"version": "..."}')
    await ports.promote(parsed.data.version)
    return { champion: parsed.data.version }
  })
  app.post('/v1/models/rollback', async () => ({ champion: await ports.rollback() }))
  app.post('/v1/rules/reload', async () => ports.reloadRules())
}
