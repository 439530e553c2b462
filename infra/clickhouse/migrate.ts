import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { WeirError } from '#schemas/errors.ts'
import { forCluster } from './cluster.ts'
import type { Store } from './store.ts'

export interface Migration {
  readonly name: string
  readonly sha256: string
  readonly statements: readonly string[]
}

/** Numbered SQL files of a folder, in order. */
export function readMigrations(folder: string): Migration[] {
  return readdirSync(folder)
    .filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name))
    .sort()
    .map((name) => {
      const text = readFileSync(join(folder, name), 'utf8')
      const statements = text
        .split(/;\s*(?:\n|$)/)
        .map((statement) => statement.replace(/^\s*--.*$/gm, '').trim())
        .filter((statement) => statement !== '')
      return { name, sha256: createHash('sha256').update(text).digest('hex'), statements }
    })
}

const MIGRATIONS_TABLE =
  'CREATE TABLE IF NOT EXISTS weir.migrations (name String, sha256 String, at DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY name'

/**
 * Applies what was not applied yet, in order; gives the names of those. With `dryRun` nothing is changed but for the table
 * that notes them. Where all is done already, rights to read are enough.
 *
 * @throws WeirError STORE_FAILED when a file that was applied has been edited since; STORE_REFUSED and others of the store
 */
export async function migrate(store: Store, folder: string, { dryRun = false } = {}): Promise<readonly string[]> {
  const apply = async (statement: string): Promise<void> => {
    const { cluster = '' } = store
    for (const one of cluster === '' ? [statement] : forCluster(statement, cluster)) await store.command(one)
  }
  await store.prepare?.()
  const { rows: found } = await store.query('EXISTS TABLE weir.migrations')
  if (Number(Object.values(found[0] ?? {})[0]) === 0) await apply(MIGRATIONS_TABLE)
  const { rows } = await store.query('SELECT name, sha256 FROM weir.migrations')
  const applied = new Map(rows.map((row) => [String(row['name']), String(row['sha256'])]))
  const pending: string[] = []
  for (const { name, sha256, statements } of readMigrations(folder)) {
    const before = applied.get(name)
    if (before !== undefined && before !== sha256) {
      throw new WeirError('STORE_FAILED', `the migration ${name} was changed after it had been applied`, {
        where: join(folder, name),
        fix: 'Restore the file; changes go into a new migration with the next number.',
      })
    }
    if (before !== undefined) continue
    pending.push(name)
    if (dryRun) continue
    for (const statement of statements) await apply(statement)
    await store.insert('weir.migrations', ['name', 'sha256'], `${name}\t${sha256}\n`, '')
  }
  return pending
}
