import { basename } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { webFolder } from '#infra/assets.ts'
import { wallClock } from '#infra/clock.ts'
import { removeServiceAddress, writeServiceAddress } from '#infra/service-address.ts'
import { createApi, createHealthApi } from '#console/server/app.ts'
import type { HealthPorts } from '#console/server/ports.ts'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import type { Operations } from './operations.ts'
import type { Service } from './service.ts'
import { createServicePorts } from './service-ports.ts'

export interface ServedApi {
  /** Address of the page, with the token that it keeps for its tab. */
  readonly pageUrl: string
  readonly url: string
  close(): Promise<void>
}

/**
 * Serves the API and the page, and tells other commands where.
 *
 * @throws WeirError NOT_AVAILABLE when the port is taken
 */
export async function serveApi(service: Service, command: 'run' | 'demo', operations: Operations): Promise<ServedApi> {
  const { config, paths, apiToken } = service
  const { host, port, hostNames, bodyBytesMax, scoreTimeoutMs } = config.api
  const app = await createApi({
    ports: createServicePorts(service, command === 'demo', operations),
    token: apiToken,
    tokenName: basename(paths.apiTokenFile),
    webFolder: webFolder(),
    scoreTimeoutMs,
    bodyBytesMax,
    hosts: [host, ...hostNames],
  })
  const url = await listen(app, host, port)
  writeServiceAddress(paths.folder, {
    pid: process.pid,
    url,
    tokenFile: paths.apiTokenFile,
    command,
    startedAt: wallClock.now(),
  })
  return {
    url,
    pageUrl: `${url}/#token=${encodeURIComponent(apiToken)}`,
    async close() {
      removeServiceAddress(paths.folder, process.pid)
      await app.close()
    },
  }
}

/**
 * Serves health and metrics alone.
 *
 * @throws WeirError NOT_AVAILABLE when the port is taken
 */
export async function serveHealth(
  ports: HealthPorts,
  { api }: Pick<Config, 'api'>,
  token: string,
  port: number,
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const app = createHealthApi({ ports, token, hosts: [api.host, ...api.hostNames] })
  return { url: await listen(app, api.host, port), close: () => app.close() }
}

async function listen(app: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    return await app.listen({ host, port })
  } catch (error) {
    if ((error as { readonly code?: string }).code !== 'EADDRINUSE') throw error
    throw new WeirError('NOT_AVAILABLE', `port ${port} is taken by another process`, {
      where: `${host}:${port}`,
      fix: 'Stop that process, or name another port with --port (0 takes any free one).',
    })
  }
}
