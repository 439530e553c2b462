import { readMigrations } from '#infra/clickhouse/migrate.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import { bad, type Finding, ok } from './finding.ts'

export type AskedStore = Pick<Store, 'query' | 'command'>

/** Blocks that may be sent again after a restart lie within the last few; more room costs nothing. */
const WINDOW_MIN = 100
/** First release with all settings of an insert that Weir names. */
const RELEASE_MIN: readonly [number, number] = [24, 3]

/** Version, rights and how many blocks each table remembers, of a server that answers. */
export async function checkServerTables(store: AskedStore, url: string, migrationsFolder: string): Promise<Finding> {
  const { rows } = await store.query('SELECT version() AS version, currentUser() AS user')
  const version = String(rows[0]?.['version'])
  const user = String(rows[0]?.['user'])
  const shown = `server ${version} at ${url}, user ${user}`
  if (isOlder(version)) return bad(shown, `Use ClickHouse ${RELEASE_MIN.join('.')} or newer.`)
  const tables = await tablesOf(store)
  const pending = await pendingOf(store, tables, migrationsFolder)
  if (pending.edited !== null) {
    return bad(
      `${shown}: ${pending.edited} was applied in another form`,
      'These tables were made by another build. Restore that build, or give Weir a database of its own.',
    )
  }
  if (tables.length > 0) {
    const refused = await refusedRight(store)
    if (refused !== null) {
      return bad(
        `${shown}: it may not ${refused}`,
        'Give it the role weir_writer: schemas/clickhouse/server/roles.sql.',
      )
    }
  }
  const forgetful = tables.filter(({ name, window }) => window !== null && window < WINDOW_MIN && !NO_BLOCKS.has(name))
  if (forgetful.length > 0) {
    return bad(
      `${shown}: ${forgetful.map(({ name, window }) => `${name} remembers ${window} blocks`).join(', ')}, so a block that is sent again counts twice`,
      'ALTER TABLE weir.<table> MODIFY SETTING non_replicated_deduplication_window = 10000, as it was made.',
    )
  }
  if (pending.names.length === 0) return ok(`${shown}, ${tables.length} tables`)
  return ok(`${shown}; made at start: ${pending.names.join(', ')}`)
}

/** No blocks with tokens go there. */
const NO_BLOCKS: ReadonlySet<string> = new Set(['migrations', 'drift'])

interface Table {
  readonly name: string
  /** Blocks whose tokens are remembered; null where the server's default for replicated tables holds. */
  readonly window: number | null
}

async function tablesOf(store: AskedStore): Promise<Table[]> {
  const { rows } = await store.query(
    "SELECT name, engine, engine_full FROM system.tables WHERE database IN ('weir', 'weir_local') AND engine LIKE '%MergeTree' ORDER BY name",
  )
  return rows.map((row) => {
    const isReplicated = String(row['engine']).startsWith('Replicated')
    const kind = isReplicated ? 'replicated' : 'non_replicated'
    const window = new RegExp(`\\b${kind}_deduplication_window = (\\d+)`).exec(String(row['engine_full']))?.[1]
    return { name: String(row['name']), window: window === undefined ? (isReplicated ? null : 0) : Number(window) }
  })
}

async function pendingOf(
  store: AskedStore,
  tables: readonly Table[],
  folder: string,
): Promise<{ readonly names: readonly string[]; readonly edited: string | null }> {
  const applied = new Map<string, string>()
  if (tables.some(({ name }) => name === 'migrations')) {
    const { rows } = await store.query('SELECT name, sha256 FROM weir.migrations')
    for (const row of rows) applied.set(String(row['name']), String(row['sha256']))
  }
  const migrations = readMigrations(folder)
  const edited = migrations.find(({ name, sha256 }) => applied.has(name) && applied.get(name) !== sha256)
  return {
    names: migrations.filter(({ name }) => !applied.has(name)).map(({ name }) => name),
    edited: edited?.name ?? null,
  }
}

/** Tried with statements that change nothing; null when all is allowed. */
async function refusedRight(store: AskedStore): Promise<string | null> {
  const tries: readonly (readonly [string, () => Promise<unknown>])[] = [
    ['read', () => store.query('SELECT line FROM weir.recorder_progress LIMIT 1')],
    [
      'write',
      () =>
        store.command(
          'INSERT INTO weir.recorder_progress (line, rows) SELECT line, rows FROM weir.recorder_progress WHERE 0',
        ),
    ],
  ]
  for (const [right, attempt] of tries) {
    try {
      await attempt()
    } catch (error) {
      if ((error as { readonly code?: unknown }).code === 'STORE_REFUSED') return right
      throw error
    }
  }
  return null
}

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major < RELEASE_MIN[0] || (major === RELEASE_MIN[0] && minor < RELEASE_MIN[1])
}

/** ClickHouse away is no reason for a decision to be late, so it is told apart from a refusal. */
export function describeStoreFailure(code: string, message: string, fix: string): Finding {
  if (code === 'STORE_UNAVAILABLE') {
    return bad(
      message,
      'Start it, or correct clickhouse.url. Decisions go out all the same; the tables catch up later.',
    )
  }
  return bad(message, fix)
}
