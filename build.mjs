// Builds dist/: the program, its child processes, the page, and copies of the files that are read at run time. When
// nothing has changed since the last build it does nothing, so that it can stand before every command.
import { createHash } from 'node:crypto'
import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = dirname(fileURLToPath(import.meta.url))
const DIST = join(ROOT, 'dist')
const STAMP = join(DIST, '.built')

const SOURCE_FOLDERS = [
  'schemas',
  'infra',
  'models',
  'simulator',
  'pipeline',
  'learning',
  'console',
  'cli',
  'test/bench',
  'test/support',
]
const SOURCE_FILES = ['package.json', 'package-lock.json', 'tsconfig.json', 'build.mjs']
/** Files read at run time, wherever they lie in the source folders; paths below dist/assets stay those of the tree. */
const ASSET_ENDINGS = ['.avsc', '.sql', '.yaml', '.yml', '.json', '.onnx', '.html']
const NO_ASSETS = ['console/web', 'models/lstm/native', 'test']
/** Started as processes of their own; dist/infra-clickhouse-child.js and so on. */
const CHILDREN = ['infra/clickhouse/child', 'learning/retrain-child', 'test/bench/kafka-load']

if (process.argv[1] === fileURLToPath(import.meta.url)) await build({ force: process.argv.includes('--force') })

/** Brings dist/ up to date. A finished build that cannot be replaced (installed read-only) is left as it is. */
export async function build({ force = false } = {}) {
  const files = sourceFiles()
  const stamp = stampOf(files)
  if (!force && existsSync(STAMP)) {
    if (readFileSync(STAMP, 'utf8') === stamp || !isWritable(ROOT)) return
  }
  const startedMs = performance.now()
  const next = join(ROOT, `.dist-${process.pid}`)
  try {
    await bundle(next)
    copyAssets(files, next)
    await buildPage(next)
    writeFileSync(join(next, '.built'), stamp)
    replaceDist(next)
  } finally {
    rmSync(next, { recursive: true, force: true })
  }
  console.error(`built dist/ in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
}

async function bundle(outdir) {
  const esbuild = await import('esbuild')
  const entryPoints = { weir: join(ROOT, 'cli/main.ts') }
  for (const child of CHILDREN) {
    if (existsSync(join(ROOT, `${child}.ts`))) entryPoints[child.replaceAll('/', '-')] = join(ROOT, `${child}.ts`)
  }
  await esbuild.build({
    entryPoints,
    outdir,
    absWorkingDir: ROOT,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    // Flat, so that import.meta.url lies in dist/ whatever chunk a module ends up in.
    chunkNames: 'chunk-[name]-[hash]',
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'none',
    logLevel: 'warning',
  })
  chmodSync(join(outdir, 'weir.js'), 0o755)
}

function copyAssets(files, outdir) {
  for (const file of files) {
    if (!ASSET_ENDINGS.some((ending) => file.endsWith(ending)) || !file.includes('/')) continue
    if (NO_ASSETS.some((folder) => file.startsWith(`${folder}/`))) continue
    const target = join(outdir, 'assets', file)
    mkdirSync(dirname(target), { recursive: true })
    cpSync(join(ROOT, file), target)
  }
  mkdirSync(join(outdir, 'assets/models'), { recursive: true })
}

/** The page of console/web, by Vite, into dist/web. */
async function buildPage(outdir) {
  const config = join(ROOT, 'console/web/vite.config.ts')
  if (!existsSync(config)) return
  const vite = await import('vite')
  await vite.build({ configFile: config, build: { outDir: join(outdir, 'web'), emptyOutDir: true }, logLevel: 'warn' })
}

/** Puts the new build in the old one's place. Where two build at once, the first one's is as good as the other's. */
function replaceDist(next) {
  const old = join(ROOT, `.dist-old-${process.pid}`)
  try {
    if (existsSync(DIST)) renameSync(DIST, old)
    renameSync(next, DIST)
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes(error.code)) throw error
  } finally {
    rmSync(old, { recursive: true, force: true })
  }
}

function isWritable(folder) {
  try {
    accessSync(folder, constants.W_OK)
    return true
  } catch {
    return false
  }
}

function sourceFiles() {
  const found = SOURCE_FILES.filter((file) => existsSync(join(ROOT, file)))
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.name === 'node_modules' || entry.name.startsWith('.')) continue
      const path = join(folder, entry.name)
      if (entry.isDirectory()) walk(path)
      else found.push(relative(ROOT, path))
    }
  }
  for (const folder of SOURCE_FOLDERS) if (existsSync(join(ROOT, folder))) walk(join(ROOT, folder))
  return found.sort()
}

/** Names, sizes and times of change of all sources: cheap to take, and different after every edit. */
function stampOf(files) {
  const hash = createHash('sha256')
  for (const file of files) {
    const { size, mtimeMs } = statSync(join(ROOT, file))
    hash.update(`${file}:${size}:${mtimeMs}\n`)
  }
  return `${hash.digest('hex')}\n`
}
