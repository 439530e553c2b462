import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assetPath } from '#infra/assets.ts'
import { openEmbeddedStore } from '#infra/clickhouse/embedded-store.ts'
import { migrate } from '#infra/clickhouse/migrate.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import { wallClock } from '#infra/clock.ts'
import { openFileLog } from '#infra/log/file-log.ts'
import type { Log, RecordToAppend } from '#infra/log/log.ts'
import { noMetrics } from '#infra/metrics.ts'
import { Recorder } from '#pipeline/record/recorder.ts'
import { DEFAULT_TOPICS } from '#pipeline/topics.ts'
import { type Codec, createCodec } from '#schemas/codec.ts'
import type { Decision } from '#schemas/decision.ts'
import { WeirError } from '#schemas/errors.ts'
import { createFileSchemas } from '#schemas/schema-source.ts'

const ROWS = 100_000
const ROWS_A_LINE = 250
/** Recorded before the clock starts: the engine's first inserts build its code. */
const WARM_LINES = 40
/** As the service cuts them. */
const LIMITS = { rowsMax: 10_000, clockMs: 1_000 }
const CARDS = 40_000
const MERCHANTS = 4_000
const FROM_MS = Date.UTC(2026, 0, 15)
const WAIT_MS_MAX = 300_000

/**
 * Rows a second from committed decisions in the file log into the embedded ClickHouse, views included, all fields of a
 * transaction filled. CPU seconds are what the recording process and the engine's own process each used meanwhile.
 */
export async function benchRecord(rows: number = ROWS): Promise<Record<string, number>> {
  const folder = await mkdtemp(join(tmpdir(), 'weir-bench-record-'))
  const codec = createCodec(createFileSchemas(assetPath('schemas/kafka')))
  try {
    const log = await openFileLog({
      folder: join(folder, 'log'),
      segmentBytesMax: 67_108_864,
      retentionMs: Number.MAX_SAFE_INTEGER,
      clock: wallClock,
    })
    const store = await openEmbeddedStore(join(folder, 'clickhouse'))
    try {
      await migrate(store, assetPath('schemas/clickhouse'))
      await record(log, store, codec, 0, WARM_LINES)
      return await record(log, store, codec, WARM_LINES + 1, Math.ceil(rows / ROWS_A_LINE), () =>
        cpuSecondsOf(store.pid),
      )
    } finally {
      await store.close()
      await log.close()
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Appends so many full lines and an empty one, then measures a recorder that finds them all there. */
async function record(
  log: Log,
  store: Store,
  codec: Codec,
  firstLine: number,
  lines: number,
  engineSeconds: () => number = () => 0,
): Promise<Record<string, number>> {
  let bytes = 0
  const lastLine = firstLine + lines
  for (let line = firstLine; line <= lastLine; line++) {
    const records = recordsOf(codec, line, line === lastLine ? 0 : ROWS_A_LINE)
    for (const { value } of records) bytes += value!.length
    await log.append(records)
  }
  const recorder = new Recorder({
    log,
    store,
    codec,
    topics: DEFAULT_TOPICS,
    limits: LIMITS,
    metrics: noMetrics,
    readLabel: () => {
      throw new WeirError('INVARIANT', 'the measurement has no labels')
    },
  })
  const stop = new AbortController()
  const engineBefore = engineSeconds()
  const cpuBefore = process.cpuUsage()
  const startedNs = process.hrtime.bigint()
  const running = recorder.run(stop.signal)
  await Promise.race([recorder.reached(lastLine, AbortSignal.timeout(WAIT_MS_MAX)), running])
  const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9
  const cpu = process.cpuUsage(cpuBefore)
  const engine = engineSeconds() - engineBefore
  stop.abort()
  await running
  const rows = recorder.rowsRecorded
  return {
    rows,
    rowsPerSecond: Math.round(rows / seconds),
    seconds,
    recordBytesMean: Math.round(bytes / rows),
    recorderCpuSeconds: (cpu.user + cpu.system) / 1e6,
    engineCpuSeconds: engine,
  }
}

function recordsOf(codec: Codec, line: number, rows: number): RecordToAppend[] {
  const { decisions, journal, transactions } = DEFAULT_TOPICS
  const first = line * ROWS_A_LINE
  const records: RecordToAppend[] = Array.from({ length: rows }, (_, index) => ({
    topic: decisions,
    partition: 0,
    key: null,
    value: codec.decision.encode(decisionOf(line, index)),
  }))
  const piece = {
    topic: transactions,
    partition: 0,
    first,
    last: first + rows - 1,
    count: rows,
    rejected: [],
    repeated: [],
  }
  // The last line has no input and closes the block.
  const pieces = rows === 0 ? [] : [piece]
  const value = codec.journalLine.encode({ line, term: 1, clock: clockOf(line), pieces, control: null, alerts: 0 })
  records.push({ topic: journal, partition: 0, key: null, value })
  return records
}

/** About 25,000 events a second of the journal's clock. */
function clockOf(line: number): number {
  return FROM_MS + line * 10
}

function decisionOf(line: number, index: number): Decision {
  const n = line * ROWS_A_LINE + index
  const card = spread(n, CARDS)
  const merchant = spread(n + 7, MERCHANTS)
  const amount = 100 + spread(n + 13, 20_000)
  return {
    transaction: {
      transaction_id: `auth-2026-${String(n).padStart(12, '0')}`,
      event_time: FROM_MS + n * 40,
      card_id: `tk_${hex(card, 1)}${hex(card, 2)}${hex(card, 3)}`,
      amount,
      currency: n % 9 === 0 ? 'USD' : 'EUR',
      kind: 'authorization',
      original_id: n % 50 === 0 ? `auth-2026-${String(n - 50).padStart(12, '0')}` : '',
      account_id: `account-${hex(card, 4)}`,
      merchant_id: `merchant-${hex(merchant, 5)}`,
      terminal_id: `terminal-${hex(merchant, 6)}`,
      merchant_category: String(5_000 + (merchant % 900)),
      channel: n % 3 === 0 ? 'ECOM' : 'POS',
      entry_mode: n % 3 === 0 ? 'ECOM' : 'CHIP',
      country: 'AT',
      merchant_country: n % 7 === 0 ? 'DE' : 'AT',
      latitude: 46 + spread(n + 17, 30_000) / 10_000,
      longitude: 12 + spread(n + 19, 50_000) / 10_000,
      device_id: `device-${hex(card, 7)}${hex(card, 8)}`,
      ip_prefix: `10.${card % 250}.${merchant % 250}.0/24`,
      email_hash: `${hex(card, 9)}${hex(card, 10)}`,
      bin: String(400_000 + (card % 200)),
      avs: 'Y',
      cvv: 'M',
      three_ds: 'Y',
      recurring: n % 20 === 0,
      response_code: '00',
      attributes: { app_version: `4.${n % 12}`, order: `order-${hex(n, 11)}` },
      signals: { device_risk: spread(n + 23, 1_000) / 1_000, email_age_days: spread(n + 29, 3_000) },
    },
    line,
    index,
    amount_base: amount,
    score: spread(n + 31, 100_000) / 100_000,
    threshold: 0.97,
    verdict: n % 200 === 0 ? 'review' : 'approve',
    rule_hits: n % 200 === 0 ? ['many_cards_one_device'] : [],
    shadow_hits: n % 40 === 0 ? ['night_gift_cards'] : [],
    list_hits: [],
    model_version: '2026-01-14-1a2b3c4d',
    rules_version: 'a1b2c3d4e5f60718',
    spec_hash: '0f1e2d3c4b5a6978',
    input_hash: `${hex(n, 12)}${hex(n, 13)}`,
    degraded: '',
    explored: null,
    scored_at: clockOf(line),
  }
}

/** The same number always; neighbours lie far apart. */
function spread(n: number, below: number): number {
  return (Math.imul(n, 2_654_435_761) >>> 0) % below
}

function hex(n: number, salt: number): string {
  return (Math.imul(n * 31 + salt, 2_246_822_519) >>> 0).toString(16).padStart(8, '0')
}

/** User and system time of another process, where the system tells it. */
function cpuSecondsOf(pid: number | null): number {
  const ticksPerSecond = 100
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
  } catch {
    return Number.NaN
  }
}
