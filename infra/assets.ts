import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WeirError } from '#schemas/errors.ts'

/**
 * Where the files that are read at run time lie: schemas, SQL, specs, shipped models and rules. The built program carries
 * copies beside itself (`dist/assets/...`), source runs from the tree itself; the paths below both are the same.
 */
export function assetPath(path: string): string {
  const full = join(assetRoot(), path)
  if (!existsSync(full)) {
    throw new WeirError('INVARIANT', `a part of Weir is missing: ${path}`, {
      where: full,
      fix: 'Build again with `npm run build`.',
    })
  }
  return full
}

/** The built page, or null where it was not built. */
export function webFolder(): string | null {
  const folder = isBuilt() ? join(HERE, 'web') : join(HERE, '../dist/web')
  return existsSync(join(folder, 'index.html')) ? folder : null
}

/** What `child_process.fork` needs to run a module of ours, by its path in the repository without extension. */
export interface ChildModule {
  readonly file: string
  readonly execArgv: readonly string[]
}

/**
 * A child process's own entry point: `infra/clickhouse/child` is the file dist/infra-clickhouse-child.js when built, and
 * the TypeScript itself, through tsx, from source.
 */
export function childModule(path: string): ChildModule {
  if (isBuilt()) return { file: join(HERE, `${path.replaceAll('/', '-')}.js`), execArgv: [] }
  return { file: join(HERE, '..', `${path}.ts`), execArgv: ['--import', import.meta.resolve('tsx')] }
}

/** Where Weir is installed: the folder that holds node_modules, and .native where it was built. */
export function programRoot(): string {
  return dirname(HERE)
}

/** Root of the repository when run from source, of the copies when built. */
function assetRoot(): string {
  return isBuilt() ? join(HERE, 'assets') : dirname(HERE)
}

/** Bundling puts this file's code into dist/, beside the folder of assets. */
function isBuilt(): boolean {
  return existsSync(join(HERE, 'assets'))
}

const HERE = dirname(fileURLToPath(import.meta.url))
