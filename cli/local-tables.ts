import { existsSync } from 'node:fs'
import { readNamedQueries, runNamedQuery } from '#console/server/named-queries.ts'
import { assetPath } from '#infra/assets.ts'
import { migrate } from '#infra/clickhouse/migrate.ts'
import { dataPaths } from '#infra/data-folder.ts'
import { WeirError } from '#schemas/errors.ts'
import type { CommandContext } from './context.ts'
import type { Tables } from './query.ts'
import { openStore } from './store.ts'

/**
 * Opens the tables in this process, where no service does.
 *
 * @throws WeirError NOT_AVAILABLE when there are none yet, STORE_UNAVAILABLE
 */
export async function openLocalTables({ config }: CommandContext): Promise<Tables> {
  const folder = dataPaths(config).clickhouse
  if (config.clickhouse.home === 'embedded' && !existsSync(folder)) {
    throw new WeirError('NOT_AVAILABLE', 'there are no tables in this data folder yet', {
      where: folder,
      fix: 'Run `weir run` first, or name the demo: --data .weir/demo.',
    })
  }
  const queries = readNamedQueries(assetPath('console/server/queries'))
  const store = await openStore(config)
  try {
    await migrate(store, assetPath('schemas/clickhouse'))
  } catch (error) {
    await store.close()
    throw error
  }
  return {
    query: (request) =>
      'sql' in request ? store.analystQuery(request.sql) : runNamedQuery(store, queries, request.name, request.params),
    close: () => store.close(),
  }
}
