import { type ChildProcess, fork } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { childModule } from '#infra/assets.ts'
import { WeirError } from '#schemas/errors.ts'
import type { ChildReply, ChildRequest } from './protocol.ts'
import { checkReadonly } from './readonly-gate.ts'
import type { QueryResult, Store } from './store.ts'
import { storeError } from './store-errors.ts'

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never
type Request = WithoutId<ChildRequest>

interface Waiting {
  readonly done: (result: QueryResult | null) => void
  readonly failed: (error: WeirError) => void
  readonly isAnalyst: boolean
}

/** A store whose engine is a process of its own. */
export interface ProcessStore extends Store {
  /** Of the engine; null while there is none. */
  readonly pid: number | null
}

/** Requests under way at once; further ones wait. */
const IN_FLIGHT_MAX = 32
/** A child that keeps dying is not started for ever. */
const RESTARTS_MAX = 20
const READY_MS_MAX = 60_000
/** So long another engine may hold the folder. */
const LOCKED_MS_MAX = 8_000
const LOCKED_PAUSE_MS = 100
const LOCKED_TEXT = 'another process holds the embedded ClickHouse'

/**
 * ClickHouse embedded in a child process of its own. A child that dies is started again with the next request; what was
 * under way fails with STORE_UNAVAILABLE and may be sent again.
 */
export async function openEmbeddedStore(folder: string): Promise<ProcessStore> {
  mkdirSync(folder, { recursive: true })
  const store = new EmbeddedStore(folder)
  await store.start()
  return store
}

class EmbeddedStore implements ProcessStore {
  private readonly folder: string
  private child: ChildProcess | null = null
  private starting: Promise<void> | null = null
  private readonly waiting = new Map<number, Waiting>()
  private readonly queue: (() => void)[] = []
  private nextId = 1
  private restarts = 0
  private isClosed = false

  constructor(folder: string) {
    this.folder = folder
  }

  get pid(): number | null {
    return this.child?.pid ?? null
  }

  async command(sql: string): Promise<void> {
    await this.send({ op: 'command', sql })
  }

  async insert(table: string, columns: readonly string[], tsv: string | Buffer, token: string): Promise<void> {
    await this.send({ op: 'insert', table, columns, tsv, token })
  }

  async query(sql: string, params: Readonly<Record<string, unknown>> = {}): Promise<QueryResult> {
    return (await this.send({ op: 'query', sql, params, access: 'own' }))!
  }

  async analystQuery(sql: string, params: Readonly<Record<string, unknown>> = {}): Promise<QueryResult> {
    checkReadonly(sql)
    return (await this.send({ op: 'query', sql, params, access: 'analyst' }))!
  }

  async close(): Promise<void> {
    this.isClosed = true
    const { child } = this
    if (child === null) return
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    child.disconnect()
    await gone
  }

  start(): Promise<void> {
    this.starting ??= this.launchWhenFree().finally(() => {
      this.starting = null
    })
    return this.starting
  }

  /** The engine of a process that was killed notices only after its insert, and holds the folder until then. */
  private async launchWhenFree(): Promise<void> {
    if (this.restarts++ > RESTARTS_MAX) {
      throw new WeirError('STORE_UNAVAILABLE', `the embedded ClickHouse has died ${RESTARTS_MAX} times`, {
        where: this.folder,
      })
    }
    const giveUpMs = performance.now() + LOCKED_MS_MAX
    for (;;) {
      try {
        return await this.launch()
      } catch (error) {
        if (!isLockedError(error) || performance.now() > giveUpMs || this.isClosed) throw error
        await new Promise((resolve) => setTimeout(resolve, LOCKED_PAUSE_MS))
      }
    }
  }

  private async launch(): Promise<void> {
    const { file, execArgv } = childModule('infra/clickhouse/child')
    const child = fork(file, [this.folder], {
      execArgv: [...execArgv],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    let said = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2_000)
    })
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL')
        reject(
          new WeirError('STORE_UNAVAILABLE', 'the embedded ClickHouse did not start in time', { where: this.folder }),
        )
      }, READY_MS_MAX)
      child.once('message', () => {
        clearTimeout(timer)
        resolve()
      })
      // Closed rather than exited: what it said last is read by then.
      child.once('close', (code, signal) => {
        clearTimeout(timer)
        reject(unavailable(this.folder, code ?? signal, said))
      })
    })
    child.on('message', (reply: ChildReply) => this.settle(reply))
    child.on('exit', (code, signal) => this.lost(child, code ?? signal, said))
    this.child = child
  }

  private async send(request: Request): Promise<QueryResult | null> {
    if (this.isClosed) throw new WeirError('STORE_UNAVAILABLE', 'the store was closed')
    while (this.waiting.size >= IN_FLIGHT_MAX) await new Promise<void>((resolve) => this.queue.push(resolve))
    if (this.child === null) await this.start()
    const child = this.child!
    const id = this.nextId++
    return new Promise((done, failed) => {
      this.waiting.set(id, { done, failed, isAnalyst: request.op === 'query' && request.access === 'analyst' })
      child.send({ ...request, id }, (error) => {
        if (error !== null) this.refuse(id, unavailable(this.folder, null, ''))
      })
    })
  }

  private refuse(id: number, error: WeirError): void {
    const waiting = this.waiting.get(id)
    if (waiting === undefined) return
    this.waiting.delete(id)
    this.queue.shift()?.()
    waiting.failed(error)
  }

  private settle(reply: ChildReply): void {
    const waiting = this.waiting.get(reply.id)
    if (waiting === undefined) return
    this.waiting.delete(reply.id)
    this.queue.shift()?.()
    if (reply.error === undefined) waiting.done(reply.result)
    else waiting.failed(storeError(reply.error, waiting.isAnalyst))
  }

  private lost(child: ChildProcess, code: number | string | null, said: string): void {
    if (this.child === child) this.child = null
    for (const [id, { failed }] of Array.from(this.waiting)) {
      this.waiting.delete(id)
      failed(unavailable(this.folder, code, this.isClosed ? '' : said))
    }
    for (const wake of this.queue.splice(0)) wake()
  }
}

function unavailable(folder: string, code: number | string | null, said: string): WeirError {
  const isLocked = said.includes('Cannot lock file')
  return new WeirError(
    'STORE_UNAVAILABLE',
    isLocked ? LOCKED_TEXT : `the embedded ClickHouse ended (${code ?? 'killed'})`,
    { where: folder },
  )
}

function isLockedError(error: unknown): boolean {
  return error instanceof WeirError && error.message === LOCKED_TEXT
}
