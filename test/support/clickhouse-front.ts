import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request as send, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { fileURLToPath } from 'node:url'

/** What goes wrong with one request; 'lost-answer' and 'late' when the engine has done what was asked. */
export type Fault =
  | { readonly kind: 'reset' | 'lost-answer' | 'lost-headers' | 'cut-answer' | 'late' | 'endless' }
  | { readonly kind: 'status'; readonly status: number; readonly body: string }
  | { readonly kind: 'exception'; readonly code: number; readonly name: string; readonly text: string }

/** A real engine behind HTTP, and a line between that can be disturbed. */
export interface ClickHouseFront {
  readonly url: string
  readonly user: string
  readonly password: string
  /** Statements that reached it, in order. */
  readonly statements: string[]
  /** Faults of the requests whose statement matches, one a request, until used up. */
  fail(matching: RegExp, ...faults: readonly Fault[]): void
  /** Nothing listens until `open`. */
  shut(): Promise<void>
  open(): Promise<void>
  close(): Promise<void>
}

export interface FrontOptions {
  readonly folder: string
  readonly tls?: { readonly key: string; readonly cert: string }
}

const CHILD = fileURLToPath(new URL('clickhouse-front-child.ts', import.meta.url))
const USER = 'weir'
const PASSWORD = "pass word's"

export async function startClickHouseFront({ folder, tls }: FrontOptions): Promise<ClickHouseFront> {
  const child = fork(CHILD, [folder, USER, PASSWORD], { execArgv: ['--import', 'tsx'] })
  const [enginePort] = (await once(child, 'message')) as [number]
  const planned: { readonly matching: RegExp; readonly faults: Fault[] }[] = []
  const statements: string[] = []
  const sockets = new Set<Socket>()
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    void handle(request, response).catch(() => request.socket.destroy())
  }
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const inUrl = new URL(request.url!, 'http://front').searchParams.get('query')
    const statement = inUrl ?? body.toString('utf8')
    statements.push(statement)
    const plan = planned.find(({ matching, faults }) => faults.length > 0 && matching.test(statement))
    await disturb(plan?.faults.shift() ?? null, request, body, response)
  }
  const disturb = async (
    fault: Fault | null,
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ): Promise<void> => {
    switch (fault?.kind) {
      case 'reset':
        request.socket.destroy()
        return
      case 'endless':
        return
      case 'status':
        response.writeHead(fault.status).end(fault.body)
        return
      case 'exception':
        response.writeHead(500, { 'x-clickhouse-exception-code': String(fault.code) })
        response.end(`Code: ${fault.code}. DB::Exception: ${fault.text} (${fault.name}) (version 26.7.2.1)\n`)
        return
      default: {
        const answer = await forward(enginePort, request, body)
        if (fault?.kind === 'late') return
        if (fault?.kind === 'lost-answer') {
          request.socket.destroy()
          return
        }
        if (fault?.kind === 'lost-headers') {
          response.writeHead(200, { 'content-length': '1000' })
          response.write(' ')
          setImmediate(() => request.socket.destroy())
          return
        }
        response.writeHead(answer.status, answer.headers)
        response.end(fault?.kind === 'cut-answer' ? answer.body.subarray(0, answer.body.length / 2) : answer.body)
      }
    }
  }
  const server: Server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  let port = 0
  const open = async (): Promise<void> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as AddressInfo).port
  }
  const shut = async (): Promise<void> => {
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  await open()
  return {
    url: `http${tls === undefined ? '' : 's'}://127.0.0.1:${port}`,
    user: USER,
    password: PASSWORD,
    statements,
    fail(matching, ...faults) {
      planned.push({ matching, faults: [...faults] })
    },
    shut,
    open,
    async close() {
      if (server.listening) await shut()
      await ended(child)
    },
  }
}

interface Answer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: Buffer
}

function forward(port: number, request: IncomingMessage, body: Buffer): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { authorization, 'x-clickhouse-user': user, 'x-clickhouse-key': key } = request.headers
    const headers = {
      ...(authorization === undefined ? {} : { authorization }),
      ...(user === undefined ? {} : { 'x-clickhouse-user': user, 'x-clickhouse-key': key ?? '' }),
    }
    const passed = send({ port, host: '127.0.0.1', method: 'POST', path: request.url, headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const code = response.headers['x-clickhouse-exception-code']
        resolve({
          status: response.statusCode!,
          headers: code === undefined ? {} : { 'x-clickhouse-exception-code': String(code) },
          body: Buffer.concat(chunks),
        })
      })
    })
    passed.on('error', reject)
    passed.end(body)
  })
}

async function ended(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.disconnect()
  await exited
}
