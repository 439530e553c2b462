import { readFileSync } from 'node:fs'
import { type ErrorCode, ERRORS, messageOf, WeirError } from '#schemas/errors.ts'
import { isProcessAlive, readServiceAddress, type ServiceAddress } from './service-address.ts'

/** Speaks to the running service; every call gives the answer's JSON or throws what the service said. */
export interface ServiceClient {
  readonly address: ServiceAddress
  get(path: string): Promise<unknown>
  post(path: string, body: unknown): Promise<unknown>
  /** Objects as JSON, one a line. */
  postLines(path: string, lines: readonly unknown[]): Promise<unknown>
}

export interface ServiceClientOptions {
  readonly timeoutMs: number
  readonly fetch?: typeof fetch
}

const PROBE_TIMEOUT_MS = 2_000

/**
 * The service that runs on this data folder, or null. An address whose process is gone, or whose place another program
 * has taken, counts as none.
 *
 * @throws WeirError SERVICE_UNREACHABLE when the process is there but does not answer
 */
export async function findService(dataFolder: string, options: ServiceClientOptions): Promise<ServiceClient | null> {
  const address = readServiceAddress(dataFolder)
  if (address === null || !isProcessAlive(address.pid)) return null
  const client = createServiceClient(address, options)
  const probe = createServiceClient(address, { ...options, timeoutMs: Math.min(PROBE_TIMEOUT_MS, options.timeoutMs) })
  try {
    const health = await probe.get('/healthz')
    return typeof health === 'object' && health !== null && 'version' in health ? client : null
  } catch (error) {
    // Nothing listens: the process of that number is another program, or the service is just stopping.
    if (error instanceof WeirError && isRefused(error.cause)) return null
    throw error
  }
}

export function createServiceClient(address: ServiceAddress, options: ServiceClientOptions): ServiceClient {
  const send = options.fetch ?? fetch

  async function call(method: 'GET' | 'POST', path: string, type: string, body: string | null): Promise<unknown> {
    const token = path.startsWith('/v1/') ? tokenOf(address) : null
    let response: Response
    let text: string
    try {
      response = await send(address.url + path, {
        method,
        headers: {
          ...(token !== null && { authorization: `Bearer ${token}` }),
          ...(body !== null && { 'content-type': type }),
        },
        ...(body !== null && { body }),
        signal: AbortSignal.timeout(options.timeoutMs),
      })
      text = await response.text()
    } catch (cause) {
      throw failed(address, path, options.timeoutMs, cause)
    }
    const answer = parsed(text)
    if (!response.ok) throw refused(address, path, response.status, answer)
    return answer
  }

  return {
    address,
    get: async (path) => await call('GET', path, '', null),
    post: async (path, body) => await call('POST', path, 'application/json', JSON.stringify(body)),
    postLines: async (path, lines) =>
      await call('POST', path, 'application/x-ndjson', lines.map((line) => `${JSON.stringify(line)}\n`).join('')),
  }
}

function tokenOf(address: ServiceAddress): string {
  try {
    return readFileSync(address.tokenFile, 'utf8').trim()
  } catch (cause) {
    throw new WeirError('FORBIDDEN', `the token of the running service cannot be read: ${messageOf(cause)}`, {
      where: address.tokenFile,
      fix: 'Run the command as the user who started the service.',
      cause,
    })
  }
}

function failed(address: ServiceAddress, path: string, timeoutMs: number, cause: unknown): WeirError {
  const where = `${address.url}${path}, process ${address.pid}`
  if (cause instanceof DOMException && cause.name === 'TimeoutError') {
    return new WeirError('TIMEOUT', `the service did not answer within ${timeoutMs} ms`, {
      where,
      fix: 'It may be catching up or overloaded; try again.',
      cause,
    })
  }
  const inner = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause
  return new WeirError('SERVICE_UNREACHABLE', `the service cannot be reached: ${messageOf(inner)}`, {
    where,
    fix: 'Is it still running? If not, start it again with `weir run`.',
    cause: inner,
  })
}

/** What the service said, with its own code where it is one of ours. */
function refused(address: ServiceAddress, path: string, status: number, answer: unknown): WeirError {
  const said = (typeof answer === 'object' && answer !== null ? answer : {}) as Readonly<Record<string, unknown>>
  const code = said['code']
  const text = typeof said['message'] === 'string' ? said['message'] : `the service answered with status ${status}`
  const where = typeof said['where'] === 'string' && said['where'] !== '' ? said['where'] : `${address.url}${path}`
  const fix = typeof said['fix'] === 'string' ? said['fix'] : ''
  return new WeirError(isCode(code) ? code : codeOf(status), text, { where, fix })
}

function codeOf(status: number): ErrorCode {
  if (status === 401 || status === 403) return 'FORBIDDEN'
  if (status === 404) return 'NOT_AVAILABLE'
  return status < 500 && status !== 429 ? 'INPUT_INVALID' : 'SERVICE_UNREACHABLE'
}

function isCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && code in ERRORS
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

function isRefused(cause: unknown): boolean {
  return (cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED'
}
