// The embedded engine behind as much of ClickHouse's HTTP protocol as its client speaks: a process of its own, since the
// engine blocks it. Started with a folder, a user and a password; tells its port.
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type ClickHouseClient, createClient } from '@clickhouse/client'
import { createChdbConnection } from 'chdb/connection'

const [, , folder = '', user = '', password = ''] = process.argv
/** Parameters of a request that are no settings. */
const NO_SETTINGS = /^(query|database|query_id|session_id|role|wait_end_of_query|readonly|param_.*)$/

const connect = (): ClickHouseClient =>
  createClient({ connection: createChdbConnection({ path: folder }) } as unknown as Parameters<typeof createClient>[0])
const writer = connect()
const reader = connect()
const file = join(folder, 'body')
let last: Promise<void> = Promise.resolve()

process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
// A server takes the limits of a request together with its readonly = 1; here they come after it.
await reader.command({ query: 'SET readonly = 2' })
const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    last = last.then(() => answer(request, Buffer.concat(chunks), response)).catch(() => {})
  })
})
server.listen(0, '127.0.0.1', () => process.send!((server.address() as AddressInfo).port))

async function answer(request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
  if (!isKnown(request)) {
    const text = `${user}: Authentication failed: password is incorrect, or there is no user with such name.`
    return refuse(response, 516, 'AUTHENTICATION_FAILED', text, 403)
  }
  const params = new URL(request.url!, 'http://front').searchParams
  const inUrl = params.get('query')
  const sql = inUrl ?? body.toString('utf8')
  try {
    const rows = inUrl === null ? null : body
    response.end(await run(sql, rows, params))
  } catch (error) {
    const { code, type, message } = error as { code?: string; type?: string; message: string }
    refuse(response, Number(code ?? 0), type ?? 'UNKNOWN_EXCEPTION', message, type?.startsWith('UNKNOWN_') ? 404 : 500)
  }
}

async function run(sql: string, rows: Buffer | null, params: URLSearchParams): Promise<string> {
  const settings = [...params]
    .filter(([name]) => !NO_SETTINGS.test(name))
    .map(([name, value]) => `${name} = ${quoted(value)}`)
  const clause = settings.length === 0 ? '' : ` SETTINGS ${settings.join(', ')}`
  const [, statement, format] = /^([\s\S]*?)\s+FORMAT (\w+)$/.exec(sql) ?? []
  if (rows !== null) {
    writeFileSync(file, rows)
    await writer.command({ query: `${statement} FROM INFILE ${quoted(file)}${clause} FORMAT ${format}` })
    return ''
  }
  if (format === undefined) {
    await writer.command({ query: sql })
    return ''
  }
  const client = params.get('readonly') === '1' ? reader : writer
  for (const [name, value] of params) {
    if (name.startsWith('param_')) await client.command({ query: `SET ${name} = ${quoted(value)}` })
  }
  const limits = /\bSETTINGS\b/.test(statement!) ? '' : `\n${clause}`
  const answered = await client.exec({ query: `${statement}${limits}\nFORMAT ${format}` })
  const chunks: Buffer[] = []
  for await (const chunk of answered.stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function isKnown({ headers }: IncomingMessage): boolean {
  const [name, key] = [headers['x-clickhouse-user'], headers['x-clickhouse-key']].map(String)
  const basic = Buffer.from((headers.authorization ?? '').replace('Basic ', ''), 'base64').toString()
  return (headers['x-clickhouse-user'] === undefined ? basic : `${name}:${key}`) === `${user}:${password}`
}

function refuse(response: ServerResponse, code: number, name: string, text: string, status: number): void {
  response.writeHead(status, { 'x-clickhouse-exception-code': String(code) })
  response.end(`Code: ${code}. DB::Exception: ${text} (${name}) (version 26.7.2.1)\n`)
}

function quoted(value: string): string {
  return `'${value.replaceAll(/[\\']/g, '\\$&')}'`
}
