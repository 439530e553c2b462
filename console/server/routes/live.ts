import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { WeirError } from '#schemas/errors.ts'
import type { ServicePorts } from '../ports.ts'

const CLIENTS_MAX = 100
const PERIOD_MS = 1_000
const UNREAD_BYTES_MAX = 1_048_576

/** `GET /v1/live`: server-sent events, the live figures once a second, the first at once. */
export function registerLive(app: FastifyInstance, ports: ServicePorts): void {
  const clients = new Set<ServerResponse>()
  let timer: NodeJS.Timeout | null = null

  function send(client: ServerResponse, text: string): void {
    // A page that does not read is let go rather than buffered for.
    if (client.writableLength > UNREAD_BYTES_MAX) client.destroy()
    else client.write(text)
  }

  function tick(): void {
    const text = event(ports)
    for (const client of clients) send(client, text)
  }

  app.get('/v1/live', (_request, reply) => {
    if (clients.size >= CLIENTS_MAX) throw new WeirError('NOT_AVAILABLE', `${CLIENTS_MAX} pages are watching already`)
    const headers = { ...reply.getHeaders(), 'content-type': 'text/event-stream', connection: 'keep-alive' }
    reply.hijack()
    const client = reply.raw
    client.writeHead(200, headers as Record<string, string>)
    clients.add(client)
    timer ??= setInterval(tick, PERIOD_MS)
    client.on('close', () => {
      clients.delete(client)
      if (clients.size === 0 && timer !== null) {
        clearInterval(timer)
        timer = null
      }
    })
    send(client, event(ports))
  })

  app.addHook('preClose', async () => {
    for (const client of clients) client.end()
    if (timer !== null) clearInterval(timer)
  })
}

function event(ports: ServicePorts): string {
  return `data: ${JSON.stringify(ports.live())}\n\n`
}
