import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { type DataPaths, dataPaths } from '#infra/data-folder.ts'
import { readServiceAddress, type ServiceAddress } from '#infra/service-address.ts'
import type { Config } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import type { FeatureSpec } from '#schemas/feature-spec.ts'
import { TRANSACTION_DEFAULTS, type Transaction } from '#schemas/transaction.ts'
import { withDataFolder } from './bench-runtime.ts'
import { eventMaker } from './features.ts'
import { onKafkaStage, WARM_UP_SECONDS as KAFKA_WARM_UP_SECONDS } from './kafka-bench.ts'
import { ordinaryLoad } from './ordinary-load.ts'
import { placeModel } from './place-model.ts'

export interface ApiBenchOptions {
  readonly config: Config
  readonly spec: FeatureSpec
  /** Arguments of node that run this program's command line. */
  readonly program: readonly string[]
  readonly seconds: number
  /** Null: as many as `seconds` hold. */
  readonly requests: number | null
  /** Over a Kafka broker that is started for it, rather than the log in files. */
  readonly isKafka: boolean
}

export interface ApiFigures {
  readonly spec: string
  readonly log: 'file' | 'kafka'
  readonly requestsPerSecondWanted: number
  readonly requestsPerSecond: number
  readonly seconds: number
  readonly answered: number
  readonly errors: number
  /** Milliseconds from the moment at which a request was due, so that a stalled service is not spared. */
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** How late requests were sent, by this process's own fault: it is in the latencies. */
  readonly sendDelayP99Ms: number
  /** Rows in ClickHouse when the last answer had come: the recorder was at work. */
  readonly recordedRows: number
}

const CARDS = 50_000
const MERCHANTS = 5_000
const RATE = 1_000
const WARM_UP_SECONDS = 5
const SOCKETS_MAX = 256
const READY_WAIT_MS = 60_000
const LOOK_EVERY_MS = 50

/** `weir run` in a process of its own on a fresh data folder, asked at a steady rate over kept-alive connections. */
export async function benchApi(options: ApiBenchOptions): Promise<ApiFigures> {
  return options.isKafka ? await overKafka(options) : await overFiles(options)
}

/** The broker on the same cores; each request is appended to its topic, read back and decided. */
async function overKafka(options: ApiBenchOptions): Promise<ApiFigures> {
  return await onKafkaStage({ ...options, isMeasured: true }, [], async (stage) => {
    const config = stage.configOf('service')
    await placeModel(config, dataPaths(config), options.spec)
    const run = stage.run('service')
    await run.becomes('active', READY_WAIT_MS)
    await run.said(/listening on/, READY_WAIT_MS)
    const figures = await ask(options, readServiceAddress(run.paths.folder)!)
    await run.kill('SIGTERM')
    return figures
  })
}

async function overFiles(options: ApiBenchOptions): Promise<ApiFigures> {
  return await withDataFolder(options.config, async (config, paths) => {
    await placeModel(config, paths, options.spec)
    const service = startService(options, paths)
    const killWithUs = (): boolean => service.kill('SIGKILL')
    process.once('exit', killWithUs)
    try {
      return await ask(options, await ready(service, paths))
    } finally {
      await stop(service)
      process.off('exit', killWithUs)
    }
  })
}

async function ask(options: ApiBenchOptions, address: ServiceAddress): Promise<ApiFigures> {
  const agent = new Agent({ keepAlive: true, maxSockets: SOCKETS_MAX })
  try {
    const count = options.requests ?? options.seconds * RATE
    const warmUp = (options.isKafka ? KAFKA_WARM_UP_SECONDS : WARM_UP_SECONDS) * RATE
    const bodies = requestBodies(warmUp + count)
    const target = { address, agent, token: readFileSync(address.tokenFile, 'utf8').trim() }
    await sendAll(target, bodies.slice(0, warmUp))
    const run = await sendAll(target, bodies.slice(warmUp))
    const recordedRows = await recorded(target)
    return figuresOf(run, options, recordedRows)
  } finally {
    agent.destroy()
  }
}

function startService({ program, spec }: ApiBenchOptions, { folder }: DataPaths): ChildProcess {
  const flags = ['run', '--port', '0', '--data', folder, '--spec', spec.name, '--log-level', 'warn', '--quiet']
  return spawn(process.execPath, [...program, ...flags], { stdio: ['ignore', 'ignore', 'inherit'] })
}

async function ready(service: ChildProcess, paths: DataPaths): Promise<ServiceAddress> {
  for (let waited = 0; waited < READY_WAIT_MS; waited += LOOK_EVERY_MS) {
    const address = readServiceAddress(paths.folder)
    if (address !== null) return address
    if (service.exitCode !== null) break
    await setTimeout(LOOK_EVERY_MS)
  }
  throw new WeirError('NOT_AVAILABLE', 'the service that was started for this measurement did not get ready')
}

async function stop(service: ChildProcess): Promise<void> {
  if (service.exitCode !== null || service.signalCode !== null) return
  const exited = once(service, 'exit')
  service.kill('SIGTERM')
  await exited
}

/** JSON bodies as a client sends them: fields that are not known are left out, and the event happens now. */
function requestBodies(count: number): Buffer[] {
  const next = eventMaker(ordinaryLoad(CARDS, MERCHANTS, count))
  return Array.from({ length: count }, (_, n) => {
    const given = Object.entries(next(n)).filter(
      ([field, value]) =>
        field !== 'event_time' &&
        TRANSACTION_DEFAULTS[field as keyof Transaction & keyof typeof TRANSACTION_DEFAULTS] !== value,
    )
    return Buffer.from(JSON.stringify(Object.fromEntries(given)))
  })
}

interface Target {
  readonly address: ServiceAddress
  readonly agent: Agent
  readonly token: string
}

interface Run {
  readonly seconds: number
  readonly latencyMs: Float64Array
  readonly sendDelayMs: Float64Array
  readonly answered: number
}

/** Each request has its time, whatever became of those before; the run ends when all have ended. */
async function sendAll(target: Target, bodies: readonly Buffer[]): Promise<Run> {
  const latencyMs = new Float64Array(bodies.length).fill(Number.NaN)
  const sendDelayMs = new Float64Array(bodies.length)
  const pending: Promise<void>[] = []
  const startedMs = performance.now()
  let answered = 0
  const send = async (n: number): Promise<void> => {
    const dueMs = startedMs + (n * 1_000) / RATE
    sendDelayMs[n] = performance.now() - dueMs
    if ((await post(target, bodies[n]!)) !== HTTP_OK) return
    latencyMs[n] = performance.now() - dueMs
    answered++
  }
  let sent = 0
  while (sent < bodies.length) {
    const due = Math.min(bodies.length, Math.floor(((performance.now() - startedMs) * RATE) / 1_000) + 1)
    while (sent < due) pending.push(send(sent++))
    await setTimeout(1)
  }
  await Promise.all(pending)
  return { seconds: (performance.now() - startedMs) / 1_000, latencyMs, sendDelayMs, answered }
}

const HTTP_OK = 200

/** Status of the answer, 0 where none came. */
function post({ address, agent, token }: Target, body: Buffer): Promise<number> {
  return new Promise((resolve) => {
    const headers = {
      Authorization: `Bearer ${token}`,
      'Content-Type': 'application/json',
      'Content-Length': body.length,
    }
    const sent = request(`${address.url}/v1/score`, { method: 'POST', agent, headers }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode ?? 0))
      response.once('error', () => resolve(0))
    })
    sent.once('error', () => resolve(0))
    sent.end(body)
  })
}

async function recorded({ address, token }: Target): Promise<number> {
  const answer = await fetch(`${address.url}/v1/query`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ sql: 'SELECT count() AS rows FROM weir.scored_transactions' }),
  })
  if (!answer.ok) throw new WeirError('STORE_FAILED', `the recorded rows could not be counted: ${await answer.text()}`)
  const { rows } = (await answer.json()) as { readonly rows: readonly { readonly rows: unknown }[] }
  return Number(rows[0]?.rows)
}

function figuresOf(run: Run, { spec, isKafka }: ApiBenchOptions, recordedRows: number): ApiFigures {
  const latencies = run.latencyMs.filter((ms) => !Number.isNaN(ms)).sort()
  const delays = run.sendDelayMs.slice().sort()
  const at = (sorted: Float64Array, share: number): number =>
    Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(2))
  return {
    spec: spec.name,
    log: isKafka ? 'kafka' : 'file',
    requestsPerSecondWanted: RATE,
    requestsPerSecond: Math.round(run.answered / run.seconds),
    seconds: Number(run.seconds.toFixed(2)),
    answered: run.answered,
    errors: run.latencyMs.length - run.answered,
    p50Ms: at(latencies, 0.5),
    p90Ms: at(latencies, 0.9),
    p99Ms: at(latencies, 0.99),
    maxMs: at(latencies, 1),
    sendDelayP99Ms: at(delays, 0.99),
    recordedRows,
  }
}
