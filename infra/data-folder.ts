import { join } from 'node:path'
import type { Config } from '#schemas/config.ts'

/** Where everything lies in the data folder; a setting that names another place wins. */
export interface DataPaths {
  readonly folder: string
  readonly log: string
  readonly checkpoints: string
  readonly clickhouse: string
  readonly models: string
  readonly listsFile: string
  readonly tokenKeyFile: string
  readonly apiTokenFile: string
  /** Who changed what over the API. */
  readonly auditFile: string
  /** What became of each retraining. */
  readonly trainingRuns: string
  /** Written by the running service, so that other commands find it. */
  readonly addressFile: string
}

export function dataPaths(config: Config): DataPaths {
  const folder = config.dataFolder
  return {
    folder,
    log: join(folder, 'log'),
    checkpoints: join(folder, 'checkpoints'),
    clickhouse: join(folder, 'clickhouse'),
    models: config.model.registryFolder || join(folder, 'models'),
    listsFile: config.lists.file || join(folder, 'lists.yaml'),
    tokenKeyFile: config.tokenKeyFile || join(folder, 'token.key'),
    apiTokenFile: config.api.tokenFile || join(folder, 'api.token'),
    auditFile: join(folder, 'audit.jsonl'),
    trainingRuns: join(folder, 'training-runs'),
    addressFile: join(folder, 'service.json'),
  }
}
