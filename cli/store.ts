import { readFileSync } from 'node:fs'
import { dataPaths } from '#infra/data-folder.ts'
import type { Store } from '#infra/clickhouse/store.ts'
import type { Config } from '#schemas/config.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'

/**
 * ClickHouse as the settings say: embedded in a process of its own, or a server.
 *
 * @throws WeirError STORE_UNAVAILABLE, STORE_REFUSED, CONFIG_INVALID when a password or certificate cannot be read
 */
export async function openStore(config: Config): Promise<Store> {
  const { clickhouse } = config
  if (clickhouse.home === 'embedded') {
    const { openEmbeddedStore } = await import('#infra/clickhouse/embedded-store.ts')
    return await openEmbeddedStore(dataPaths(config).clickhouse)
  }
  const { openServerStore } = await import('#infra/clickhouse/server-store.ts')
  const { url, user, readUser, cluster, requestTimeoutMs, caFile } = clickhouse
  const reader =
    readUser === ''
      ? null
      : {
          user: readUser,
          password: passwordOf(clickhouse.readPassword, clickhouse.readPasswordFile, 'readPasswordFile'),
        }
  return openServerStore({
    url,
    user,
    password: passwordOf(clickhouse.password, clickhouse.passwordFile, 'passwordFile'),
    reader,
    ca: caFile === '' ? null : readSecret(caFile, 'caFile'),
    requestTimeoutMs,
    cluster,
  })
}

function passwordOf(given: string, file: string, key: string): string {
  return file === '' ? given : readSecret(file, key).toString('utf8').trim()
}

function readSecret(file: string, key: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    throw new WeirError('CONFIG_INVALID', `a file of ClickHouse cannot be read: ${messageOf(cause)}`, {
      where: `clickhouse.${key}, ${file}`,
      fix: 'Name a file that this user may read.',
    })
  }
}
