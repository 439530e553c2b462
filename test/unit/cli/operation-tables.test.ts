import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { OperationTables } from '#cli/operation-tables.ts'
import { type AuditTrail, openAuditTrail } from '#infra/audit-trail.ts'
import { writeTrainingRun } from '#learning/training-runs.ts'
import type { Promotion } from '#models/champions.ts'
import type { ListedModel } from '#models/registry.ts'
import { WeirError } from '#schemas/errors.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

/** Tables as ClickHouse keeps them: a token that came before is not taken again. */
class FakeTables {
  readonly rows = new Map<string, Record<string, string>[]>()
  readonly tokens = new Set<string>()
  /** What the next inserts end with: before the row arrives, or after it did. */
  readonly faults: ('before' | 'after')[] = []
  private readonly watchers = new Map<string, () => void>()

  /** Resolves with the next insert into a table. */
  next(table: string): Promise<void> {
    return new Promise((resolve) => this.watchers.set(table, resolve))
  }

  async insert(table: string, columns: readonly string[], tsv: string | Buffer, token: string): Promise<void> {
    const fault = this.faults.shift()
    if (fault !== 'before' && !this.tokens.has(token)) {
      this.tokens.add(token)
      for (const line of tsv.toString().slice(0, -1).split('\n')) {
        const values = line.split('\t')
        assert.equal(values.length, columns.length)
        this.of(table).push(Object.fromEntries(columns.map((column, i) => [column, values[i]!])))
      }
    }
    this.watchers.get(table)?.()
    if (fault !== undefined) throw new WeirError('STORE_UNAVAILABLE', 'away')
  }

  async query(sql: string) {
    const rows = this.of(/FROM (\S+)/.exec(sql)![1]!)
    return { columns: [], rows: rows.map(({ id }) => ({ id })), truncated: false }
  }

  of(table: string): Record<string, string>[] {
    const rows = this.rows.get(table) ?? []
    this.rows.set(table, rows)
    return rows
  }
}

const manifest = {
  createdAt: 1_700_000_000_123,
  parent: 'm0',
  command: 'weir retrain',
  spec: { name: 'lean', hash: 'abc' },
  golden: { rows: 1 },
}
const MODEL = { version: 'm1', shipped: false, manifest } as unknown as ListedModel
const DAMAGED = { version: 'm2', shipped: false, manifest: null } as unknown as ListedModel
const promotion = (number: number, kind: 'promote' | 'rollback', version: string | null): Promotion => ({
  number,
  kind,
  specName: 'lean',
  version,
  previous: 'm0',
  reason: 'better\ton January',
  at: 1_700_000_001_000 + number,
})

interface World {
  readonly store: FakeTables
  readonly trail: AuditTrail
  readonly runs: string
  readonly history: Promotion[]
  readonly warnings: string[]
  /** Resolves with the first warning. */
  readonly warned: Promise<void>
  /** Tables of a process that has just started. */
  readonly tables: () => OperationTables
}

async function inWorld(work: (world: World) => Promise<void>): Promise<void> {
  await inTempFolder(async (folder) => {
    const trail = await openAuditTrail(join(folder, 'audit.jsonl'), { now: () => 1_700_000_002_000 })
    const store = new FakeTables()
    const runs = join(folder, 'training-runs')
    const history = [promotion(1, 'promote', 'm1')]
    const warnings: string[] = []
    let warn!: () => void
    const warned = new Promise<void>((resolve) => {
      warn = resolve
    })
    const tables = () =>
      new OperationTables({
        store,
        trail,
        registry: { list: async () => [MODEL, DAMAGED], history: async () => [...history] },
        trainingRuns: runs,
        watched: [folder, runs],
        warn(text) {
          warnings.push(text)
          warn()
        },
      })
    try {
      await work({ store, trail, runs, history, warnings, warned, tables })
    } finally {
      await trail.close()
    }
  })
}

test('who changed what, versions and who was in charge, and what became of trainings are each one row', async () => {
  await inWorld(async ({ store, trail, runs, history, tables }) => {
    await trail.append({ who: 'api.token', what: 'models.promote', detail: '{"version":"m1"}' })
    const run = {
      at: 1_700_000_000_500,
      version: 'm1',
      outcome: 'kept',
      reason: "it's worse",
      figures: { a: 1 },
    } as const
    await writeTrainingRun(runs, run)
    const running = tables()
    await running.sync()
    history.push(promotion(2, 'rollback', null))
    await running.sync()
    assert.deepEqual(store.of('weir.audit'), [
      {
        id: '1700000002000-1',
        at: '1700000002.000',
        who: 'api.token',
        what: 'models.promote',
        detail: '{"version":"m1"}',
      },
    ])
    assert.deepEqual(
      store.of('weir.model_versions').map(({ at, event, version, previous, reason, spec_hash }) => ({
        at,
        event,
        version,
        previous,
        reason,
        spec_hash,
      })),
      [
        {
          at: '1700000000.123',
          event: 'registered',
          version: 'm1',
          previous: 'm0',
          reason: 'weir retrain',
          spec_hash: 'abc',
        },
        {
          at: '1700000001.001',
          event: 'promoted',
          version: 'm1',
          previous: 'm0',
          reason: 'better\\ton January',
          spec_hash: 'abc',
        },
        {
          at: '1700000001.002',
          event: 'rolled_back',
          version: '',
          previous: 'm0',
          reason: 'better\\ton January',
          spec_hash: '',
        },
      ],
    )
    assert.ok(!store.of('weir.model_versions')[0]!['manifest']!.includes('golden'))
    assert.deepEqual(store.of('weir.training_runs'), [
      {
        id: '1700000000500-m1',
        at: '1700000000.500',
        version: 'm1',
        outcome: 'kept',
        reason: "it\\'s worse",
        figures: '{"a":1}',
      },
    ])
  })
})

test('whatever is lost or answered too late, and whenever the process dies, each row is there once in the end', async () => {
  await inWorld(async ({ store, trail, tables }) => {
    for (let n = 0; n < 5; n++) await trail.append({ who: 'w', what: `change ${n}`, detail: '' })
    store.faults.push('before', 'after')
    let running = tables()
    await assert.rejects(running.sync())
    await trail.append({ who: 'w', what: 'change 5', detail: '' })
    await assert.rejects(running.sync())
    store.faults.push('after')
    running = tables()
    await assert.rejects(running.sync())
    await tables().sync()
    await tables().sync()
    assert.deepEqual(
      store.of('weir.audit').map(({ what }) => what),
      [0, 1, 2, 3, 4, 5].map((n) => `change ${n}`),
    )
    assert.equal(store.of('weir.model_versions').length, 2)
  })
})

test('it runs beside the service: a change that it is told of is in the tables soon, an outage is told once', async () => {
  await inWorld(async ({ store, trail, warnings, warned, tables }) => {
    const stop = new AbortController()
    const running = tables()
    store.faults.push('before')
    const ended = running.run(stop.signal)
    await warned
    assert.match(warnings[0]!, /not in the tables yet: away/)
    await trail.append({ who: 'w', what: 'told', detail: '' })
    const inserted = store.next('weir.audit')
    running.nudge()
    await inserted
    stop.abort()
    await ended
    assert.equal(warnings.length, 1)
  })
})
