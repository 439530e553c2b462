import type { FastifyInstance } from 'fastify'
import type { HealthPorts } from '../ports.ts'

/** `/healthz`: the process answers; `/readyz`: it does its work; `/metrics`: Prometheus text. */
export function registerHealth(app: FastifyInstance, ports: HealthPorts): void {
  app.get('/healthz', async () => ({ ok: true, version: ports.version }))
  app.get('/readyz', async (_request, reply) => {
    const health = ports.health()
    return reply.code(health.ok ? 200 : 503).send(health)
  })
  app.get('/metrics', async (_request, reply) => reply.type('text/plain; version=0.0.4').send(await ports.metrics()))
}
