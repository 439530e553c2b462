import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { maskCardNumbers } from '#schemas/card-number.ts'
import { WeirError } from '#schemas/errors.ts'
import type { ServicePorts } from '../ports.ts'

const reason = z.string().max(500).default('over the API').transform(maskCardNumbers)
const promoteShape = z.strictObject({ version: z.string().min(1).max(200), reason })
const rollbackShape = z.strictObject({ reason }).default({ reason: 'over the API' })

/**
 * Models and rules: what changes outcomes goes through the journal, so each of these answers when it is in force. Who asks
 * for what is in the audit trail before it is done, and so is that it failed.
 *
 * @param who name of the token that callers hold
 */
export function registerAdmin(app: FastifyInstance, ports: ServicePorts, who: string): void {
  async function audited<T>(what: string, detail: object, work: () => Promise<T>): Promise<T> {
    await ports.audit({ who, what, detail: maskCardNumbers(JSON.stringify(detail)) })
    try {
      return await work()
    } catch (error) {
      const code = error instanceof WeirError ? error.code : 'INVARIANT'
      await ports.audit({ who, what: `${what}.failed`, detail: maskCardNumbers(JSON.stringify({ ...detail, code })) })
      throw error
    }
  }

  app.get('/v1/models', async () => ports.models())
  app.get('/v1/rules', async () => ports.rules())
  app.post('/v1/models/promote', async (request) => {
    const parsed = promoteShape.safeParse(request.body)
    if (!parsed.success) throw new WeirError('USAGE', 'give {"version": "..."}, and "reason" if wanted')
    const { version, reason } = parsed.data
    await audited('models.promote', { version, reason }, () => ports.promote(version, reason))
    return { champion: version }
  })
  app.post('/v1/models/rollback', async (request) => {
    const parsed = rollbackShape.safeParse(request.body ?? undefined)
    if (!parsed.success) throw new WeirError('USAGE', 'give {}, or {"reason": "..."}')
    return { champion: await audited('models.rollback', parsed.data, () => ports.rollback(parsed.data.reason)) }
  })
  app.post('/v1/rules/reload', async () => audited('rules.reload', {}, () => ports.reloadRules()))
}
