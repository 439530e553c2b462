import { timingSafeEqual } from 'node:crypto'
import fastifyStatic from '@fastify/static'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { replyError } from './http-errors.ts'
import type { HealthPorts, ServicePorts } from './ports.ts'
import { registerAdmin } from './routes/admin.ts'
import { registerHealth } from './routes/health.ts'
import { registerInput } from './routes/input.ts'
import { registerLive } from './routes/live.ts'
import { registerQuery } from './routes/query.ts'
import { registerScore } from './routes/score.ts'

export interface ApiOptions {
  readonly ports: ServicePorts
  /** Bearer token for everything but health and the page's own files. */
  readonly token: string
  /** What the audit trail calls whoever holds it. */
  readonly tokenName: string
  /** Folder of the built page; null: no page. */
  readonly webFolder: string | null
  readonly scoreTimeoutMs: number
  readonly bodyBytesMax: number
  /** Host names under which the service may be called, besides loopback. */
  readonly hosts: readonly string[]
}

const LOOPBACK_HOSTS = ['127.0.0.1', 'localhost', '[::1]']

/** The service's HTTP API and its page, not yet listening. */
export async function createApi(options: ApiOptions): Promise<FastifyInstance> {
  const app = createGuarded(options)
  app.addContentTypeParser('application/x-ndjson', { parseAs: 'string' }, (_request, body, done) => done(null, body))
  registerHealth(app, options.ports)
  registerScore(app, options.ports, options.scoreTimeoutMs)
  registerInput(app, options.ports)
  registerQuery(app, options.ports)
  registerAdmin(app, options.ports, options.tokenName)
  registerLive(app, options.ports)
  if (options.webFolder !== null) await app.register(fastifyStatic, { root: options.webFolder, index: ['index.html'] })
  return app
}

/** Health and metrics alone, for a process that decides nothing; not yet listening. */
export function createHealthApi(
  options: { readonly ports: HealthPorts } & Pick<ApiOptions, 'token' | 'hosts'>,
): FastifyInstance {
  const app = createGuarded({ ...options, bodyBytesMax: 1 })
  registerHealth(app, options.ports)
  return app
}

function createGuarded(options: Pick<ApiOptions, 'token' | 'hosts' | 'bodyBytesMax'>): FastifyInstance {
  // No request log: addresses and bodies of requests are nobody's business.
  const app = Fastify({ bodyLimit: options.bodyBytesMax, forceCloseConnections: true, logger: false })
  app.setErrorHandler((error, _request, reply) => replyError(reply, error))
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ code: 'NOT_FOUND', message: 'there is nothing under this address' }),
  )
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS)
    if (!isKnownHost(request, options.hosts)) {
      await reply.code(421).send({ code: 'FORBIDDEN', message: 'this service does not answer under that host name' })
    } else if (needsToken(request.url) && !hasToken(request, options.token)) {
      reply.header('WWW-Authenticate', 'Bearer')
      await reply.code(401).send({
        code: 'FORBIDDEN',
        message: 'a bearer token is needed',
        fix: 'It stands in the data folder, in the file api.token.',
      })
    }
  })
  return app
}

const SECURITY_HEADERS = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
}

/** A page elsewhere that had its name resolved to this machine must not be able to speak to the service. */
function isKnownHost(request: FastifyRequest, hosts: readonly string[]): boolean {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '').toLowerCase()
  return LOOPBACK_HOSTS.includes(host) || hosts.includes(host)
}

function needsToken(url: string): boolean {
  return url.startsWith('/v1/') || url.startsWith('/metrics')
}

function hasToken(request: FastifyRequest, token: string): boolean {
  const given = Buffer.from(/^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '')
  const wanted = Buffer.from(token)
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}
