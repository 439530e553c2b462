import { type ChildProcess, fork } from 'node:child_process'
import { constants, setPriority } from 'node:os'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { childModule } from '#infra/assets.ts'
import { WeirError } from '#schemas/errors.ts'
import { InsertFiles } from './insert-files.ts'
import type { ChildReply, ChildRequest } from './protocol.ts'
import { checkReadonly } from './readonly-gate.ts'
import type { InsertFormat, QueryResult, Store } from './store.ts'
import { plainStoreError, storeError } from './store-errors.ts'

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never
type Request = WithoutId<ChildRequest>
/** Requests of one lane are answered one after the other. */
type Lane = 'writer' | 'reader' | 'analyst'

interface Waiting {
  readonly lane: Lane
  readonly patienceMs: number
  readonly done: (result: QueryResult | null) => void
  readonly failed: (error: WeirError) => void
}

/** A store whose engine is a process of its own. */
export interface ProcessStore extends Store {
  /** Of the engine; null while there is none. */
  readonly pid: number | null
}

export interface EmbeddedOptions {
  /** An engine that gives no answer for so long is ended and started anew. */
  readonly requestTimeoutMs?: number
  /** A child that keeps dying is not started for ever. */
  readonly restartsMax?: number
  /** One that lived so long is healthy: those before it no longer count. */
  readonly healthyMs?: number
}

/** Above the longest query that people may ask, and what a busy disk needs for a block. */
const REQUEST_TIMEOUT_MS = 120_000
/** Statements that change tables may rewrite them. */
const COMMAND_PATIENCE = 10
const RESTARTS_MAX = 20
const HEALTHY_MS = 300_000
/** Requests under way at once; further ones wait. */
const IN_FLIGHT_MAX = 32
const READY_MS_MAX = 60_000
/** So long another engine may hold the folder. */
const LOCKED_MS_MAX = 8_000
const LOCKED_PAUSE_MS = 100
const LOCKED_TEXT = 'another process holds the embedded ClickHouse'

/**
 * ClickHouse embedded in a child process of its own. A child that dies or hangs is started again with the next request; what
 * was under way fails with STORE_UNAVAILABLE and may be sent again.
 *
 * @throws WeirError STORE_UNAVAILABLE
 */
export async function openEmbeddedStore(folder: string, options: EmbeddedOptions = {}): Promise<ProcessStore> {
  mkdirSync(folder, { recursive: true })
  const store = new EmbeddedStore(folder, options)
  await store.start()
  return store
}

class EmbeddedStore implements ProcessStore {
  private readonly folder: string
  private readonly options: Required<EmbeddedOptions>
  private readonly files: InsertFiles
  private child: ChildProcess | null = null
  private starting: Promise<void> | null = null
  private readonly waiting = new Map<number, Waiting>()
  private readonly watches = new Map<Lane, NodeJS.Timeout>()
  private readonly queue: (() => void)[] = []
  private nextId = 1
  private restarts = 0
  private bornMs = 0
  private isClosed = false

  constructor(folder: string, options: EmbeddedOptions) {
    this.folder = folder
    this.files = new InsertFiles(join(folder, 'incoming'), `${process.pid}-${process.hrtime.bigint()}`)
    this.options = {
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      restartsMax: RESTARTS_MAX,
      healthyMs: HEALTHY_MS,
      ...options,
    }
  }

  get pid(): number | null {
    return this.child?.pid ?? null
  }

  async command(sql: string): Promise<void> {
    await this.send({ op: 'command', sql })
  }

  async insert(
    table: string,
    columns: readonly string[],
    rows: string | Buffer | readonly Buffer[],
    token: string,
    format: InsertFormat = 'TabSeparated',
  ): Promise<void> {
    const file = await this.files.write(rows).catch((error: unknown) => {
      throw storeError(plainStoreError(error), false, this.folder)
    })
    try {
      await this.send({ op: 'insert', table, columns, file, format, token })
    } finally {
      await this.files.giveBack(file)
    }
  }

  async query(sql: string, params: Readonly<Record<string, unknown>> = {}): Promise<QueryResult> {
    return (await this.send({ op: 'query', sql, params, access: 'own' }))!
  }

  async analystQuery(sql: string, params: Readonly<Record<string, unknown>> = {}): Promise<QueryResult> {
    checkReadonly(sql)
    return (await this.send({ op: 'query', sql, params, access: 'analyst' }))!
  }

  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    const { child } = this
    if (child !== null) {
      const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
      if (child.connected) child.disconnect()
      await gone
    }
    this.files.removeAll()
  }

  start(): Promise<void> {
    this.starting ??= this.launchWhenFree().finally(() => {
      this.starting = null
    })
    return this.starting
  }

  /** The engine of a process that was killed notices only after its insert, and holds the folder until then. */
  private async launchWhenFree(): Promise<void> {
    if (this.restarts++ > this.options.restartsMax) {
      throw new WeirError('STORE_UNAVAILABLE', `the embedded ClickHouse has died ${this.options.restartsMax} times`, {
        where: this.folder,
        fix: 'Look for what kills it (memory, disk), then restart Weir.',
      })
    }
    const giveUpMs = performance.now() + LOCKED_MS_MAX
    for (;;) {
      try {
        await this.launch()
        this.files.removeOthers()
        return
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
    // What fills tables gives way to what decides.
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL)
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
    this.bornMs = performance.now()
  }

  private async send(request: Request): Promise<QueryResult | null> {
    if (this.isClosed) throw new WeirError('STORE_UNAVAILABLE', 'the store was closed')
    while (this.waiting.size >= IN_FLIGHT_MAX) await new Promise<void>((resolve) => this.queue.push(resolve))
    if (this.child === null) await this.start()
    const child = this.child!
    const id = this.nextId++
    const lane = laneOf(request)
    const patienceMs = this.options.requestTimeoutMs * (request.op === 'command' ? COMMAND_PATIENCE : 1)
    return new Promise((done, failed) => {
      this.waiting.set(id, { lane, patienceMs, done, failed })
      if (!this.watches.has(lane)) this.watch(lane)
      child.send({ ...request, id }, (error) => {
        if (error !== null) this.take(id)?.failed(unavailable(this.folder, null, ''))
      })
    })
  }

  /** Gives the oldest request of a lane its time, from now on: those before it are answered. */
  private watch(lane: Lane): void {
    clearTimeout(this.watches.get(lane))
    this.watches.delete(lane)
    const oldest = [...this.waiting].find(([, waiting]) => waiting.lane === lane)
    if (oldest === undefined) return
    const [id, { patienceMs }] = oldest
    // A process that was held up itself finds answers behind its timers: they are read first.
    const timer = setTimeout(() => setImmediate(() => this.endIfSilent(id)), patienceMs)
    this.watches.set(lane, timer)
  }

  private endIfSilent(id: number): void {
    if (this.waiting.has(id)) this.child?.kill('SIGKILL')
  }

  private take(id: number): Waiting | undefined {
    const waiting = this.waiting.get(id)
    if (waiting === undefined) return undefined
    this.waiting.delete(id)
    this.queue.shift()?.()
    this.watch(waiting.lane)
    return waiting
  }

  private settle(reply: ChildReply): void {
    const waiting = this.take(reply.id)
    if (reply.error === undefined) waiting?.done(reply.result)
    else waiting?.failed(storeError(reply.error, waiting.lane === 'analyst', this.folder))
  }

  private lost(child: ChildProcess, code: number | string | null, said: string): void {
    if (this.child === child) this.child = null
    if (performance.now() - this.bornMs >= this.options.healthyMs) this.restarts = 0
    for (const id of this.waiting.keys())
      this.take(id)!.failed(unavailable(this.folder, code, this.isClosed ? '' : said))
    for (const timer of this.watches.values()) clearTimeout(timer)
    this.watches.clear()
    for (const wake of this.queue.splice(0)) wake()
  }
}

function laneOf(request: Request): Lane {
  if (request.op !== 'query') return 'writer'
  return request.access === 'analyst' ? 'analyst' : 'reader'
}

function unavailable(folder: string, code: number | string | null, said: string): WeirError {
  const isLocked = said.includes('Cannot lock file')
  return isLocked
    ? new WeirError('STORE_UNAVAILABLE', LOCKED_TEXT, {
        where: folder,
        fix: 'Stop that process, or use a ClickHouse server, which serves several: clickhouse.home.',
      })
    : new WeirError('STORE_UNAVAILABLE', `the embedded ClickHouse ended (${code ?? 'killed'})`, { where: folder })
}

function isLockedError(error: unknown): boolean {
  return error instanceof WeirError && error.message === LOCKED_TEXT
}
