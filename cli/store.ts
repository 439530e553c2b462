import { readFileSync } from 'node:fs'
import { dataPaths } from '#infra/data-folder.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import type { Config } from '#schemas/config.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'

/**
 * ClickHouse as the settings say: embedded in a process of its own, or a server.
 *
 * @throws WeirError STORE_UNAVAILABLE, CONFIG_INVALID when the password cannot be read
 */
export async function openStore(config: Config): Promise<Store> {
  if (config.clickhouse.home === 'embedded') {
    const { openEmbeddedStore } = await import('#infra/clickhouse/embedded-store.ts')
    return await openEmbeddedStore(dataPaths(config).clickhouse)
  }
  const { openServerStore } = await import('#infra/clickhouse/server-store.ts')
  const { url, user, passwordFile } = config.clickhouse
  return await openServerStore({ url, user, password: passwordIn(passwordFile), requestTimeoutMs: REQUEST_TIMEOUT_MS })
}

const REQUEST_TIMEOUT_MS = 30_000

function passwordIn(file: string): string {
  if (file === '') return ''
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (cause) {
    throw new WeirError('CONFIG_INVALID', `the password of ClickHouse cannot be read: ${messageOf(cause)}`, {
      where: `clickhouse.passwordFile, ${file}`,
      fix: 'Name a file that this user may read.',
    })
  }
}
