import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { DataPaths } from '#infra/data-folder.ts'

/** Names a process in the journal: the same after a restart, and another for every other data folder anywhere. */
export function ownerName(paths: DataPaths): string {
  const file = join(paths.folder, 'instance.id')
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(4).toString('hex')}\n`, { flag: 'wx' })
  return `${hostname()}:${paths.folder}#${readFileSync(file, 'utf8').trim()}`
}

/** What whoever uses the API has to show; made at the first start. */
export function loadApiToken(file: string): string {
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(24).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
  return readFileSync(file, 'utf8').trim()
}
