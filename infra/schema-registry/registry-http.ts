import { setTimeout as pause } from 'node:timers/promises'
import { WeirError } from '#schemas/errors.ts'

export interface RegistryHttpOptions {
  /** Address, with the path below which the API lies; user and password in it are not used. */
  readonly url: string
  /** Value of the Authorization header, or null; asked for every attempt, so that it may change. */
  readonly authorization: () => string | null
  /** Of one attempt, the answer's body included. */
  readonly timeoutMs: number
  readonly attemptsMax: number
  /** Ends requests and pauses when the process is to stop. */
  readonly stop?: AbortSignal
  readonly retried?: (fault: { readonly path: string; readonly problem: string; readonly waitMs: number }) => void
  readonly fetch?: typeof fetch
  readonly sleep?: (ms: number, stop: AbortSignal | undefined) => Promise<unknown>
  /** 0 to 1; spreads the pauses of many callers. */
  readonly random?: () => number
}

/** What the registry said: a body of a success, or its own error code. */
export type RegistryAnswer =
  | { readonly ok: true; readonly body: unknown }
  | { readonly ok: false; readonly status: number; readonly errorCode: number; readonly message: string }

export type SendToRegistry = (method: 'GET' | 'POST' | 'PUT', path: string, body?: unknown) => Promise<RegistryAnswer>

/**
 * Sends one request until it is answered: faults of the network, timeouts, 5xx, 429, redirects and answers that are not
 * of a registry are tried again with growing pauses, at most `attemptsMax` times. All requests of the API may be repeated.
 * An error that carries the registry's own code is an answer.
 *
 * @throws WeirError REGISTRY_UNAVAILABLE when no attempt was answered
 * @throws WeirError REGISTRY_REFUSED when credentials or request are refused
 * @throws the reason of `stop` when it is aborted
 */
export function createRegistryHttp(options: RegistryHttpOptions): SendToRegistry {
  const { authorization, timeoutMs, attemptsMax, stop, retried = () => {} } = options
  const send = options.fetch ?? fetch
  const sleep = options.sleep ?? sleepUnlessStopped
  const random = options.random ?? Math.random
  const base = baseOf(options.url)

  return async (method, path, body) => {
    for (let attempt = 1; ; attempt++) {
      const result = await once(method, path, body)
      if (!('problem' in result)) return result
      if (attempt >= attemptsMax) throw unavailable(base + path, result.problem, attempt)
      const waitMs = Math.round(pauseMs(attempt, result.retryAfterMs) * (0.5 + random() / 2))
      retried({ path, problem: result.problem, waitMs })
      await sleep(waitMs, stop)
    }
  }

  async function once(method: string, path: string, body: unknown): Promise<RegistryAnswer | Fault> {
    stop?.throwIfAborted()
    const header = authorization()
    let response: Response
    let text: string
    try {
      response = await send(base + path, {
        method,
        headers: {
          accept: `${CONTENT_TYPE}, application/json`,
          ...(header !== null && { authorization: header }),
          ...(body !== undefined && { 'content-type': CONTENT_TYPE }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        // Credentials go to the address that was configured and to no other.
        redirect: 'manual',
        signal:
          stop === undefined ? AbortSignal.timeout(timeoutMs) : AbortSignal.any([stop, AbortSignal.timeout(timeoutMs)]),
      })
      text = await textOf(response)
    } catch (cause) {
      stop?.throwIfAborted()
      return { problem: problemOf(cause, timeoutMs), retryAfterMs: 0 }
    }
    return answerOf(response, text, base + path)
  }
}

/** Why an attempt failed, in words; never what was sent or came back. */
interface Fault {
  readonly problem: string
  /** What the server asked for; 0 where it asked for nothing. */
  readonly retryAfterMs: number
}

const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json'
const FIRST_PAUSE_MS = 200
const PAUSE_MS_MAX = 5_000
/** Larger than any schema; a server that sends more is not a registry. */
const BODY_CHARACTERS_MAX = 16_777_216
const MESSAGE_CHARACTERS_MAX = 500

async function sleepUnlessStopped(ms: number, stop: AbortSignal | undefined): Promise<void> {
  try {
    await pause(ms, undefined, stop === undefined ? {} : { signal: stop })
  } catch {
    stop?.throwIfAborted()
  }
}

function pauseMs(attempt: number, retryAfterMs: number): number {
  return Math.min(PAUSE_MS_MAX, Math.max(FIRST_PAUSE_MS * 2 ** (attempt - 1), retryAfterMs))
}

function answerOf(response: Response, text: string, where: string): RegistryAnswer | Fault {
  const { status } = response
  const body = parsed(text)
  if (response.ok) {
    if (body !== undefined) return { ok: true, body }
    return { problem: `it answered ${status} with something that is not JSON`, retryAfterMs: 0 }
  }
  if (status === 401 || status === 403) throw refusedCredentials(status, where)
  if (status === 429 || status >= 500) {
    return { problem: `it answered with status ${status}`, retryAfterMs: retryAfterMs(response) }
  }
  const errorCode = property(body, 'error_code')
  if (typeof errorCode === 'number') {
    const message = property(body, 'message')
    const said = typeof message === 'string' ? message.slice(0, MESSAGE_CHARACTERS_MAX) : ''
    return { ok: false, status, errorCode, message: said }
  }
  // A proxy in between, another service, or the wrong path: says nothing about what is registered.
  if (status === 404 || status === 408 || status < 400) {
    return { problem: `what answers there with status ${status} is not a schema registry`, retryAfterMs: 0 }
  }
  throw new WeirError('REGISTRY_REFUSED', `the schema registry refused the request with status ${status}`, {
    where,
    fix: 'Is registry.url the address of a registry with the Confluent REST API?',
  })
}

async function textOf(response: Response): Promise<string> {
  if (response.body === null) return ''
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of response.body) {
    text += decoder.decode(chunk as Uint8Array, { stream: true })
    if (text.length > BODY_CHARACTERS_MAX) throw new Error('the answer is too long')
  }
  return text + decoder.decode()
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[name] : undefined
}

/** Seconds or a date; a server that names neither gets the usual pause. */
function retryAfterMs(response: Response): number {
  const seconds = Number(response.headers.get('retry-after') ?? '')
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0
}

/** The system's code where there is one: texts of foreign errors may quote what was sent. */
function problemOf(cause: unknown, timeoutMs: number): string {
  if (cause instanceof DOMException && cause.name === 'TimeoutError') return `no answer within ${timeoutMs} ms`
  const inner = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause
  const code = property(inner, 'code')
  if (typeof code === 'string') return `the connection failed (${code})`
  return 'the connection failed, or broke before the answer was complete'
}

function baseOf(url: string): string {
  const { origin, pathname } = new URL(url)
  return origin + pathname.replace(/\/+$/, '')
}

function unavailable(where: string, problem: string, attempts: number): WeirError {
  return new WeirError(
    'REGISTRY_UNAVAILABLE',
    `the schema registry cannot be asked: ${problem} (${attempts} attempts)`,
    {
      where,
      fix: 'Is it running, is registry.url its address (with the path of the API, if it has one), and does this machine trust its certificate (NODE_EXTRA_CA_CERTS)?',
    },
  )
}

function refusedCredentials(status: number, where: string): WeirError {
  return new WeirError(
    'REGISTRY_REFUSED',
    status === 401
      ? 'the schema registry does not accept the credentials'
      : 'the schema registry does not allow this to the user',
    { where, fix: 'See registry.user, registry.password and registry.passwordFile, and the rights of that user.' },
  )
}
