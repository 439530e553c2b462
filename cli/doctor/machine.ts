import { accessSync, constants, existsSync, statfsSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { bad, type Finding, ok, warn } from './finding.ts'

/** Checks of the machine and of the data folder; each looks and changes nothing. */
export function checkNode(version: string = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > 20 || (major === 20 && minor >= 19)) return ok(`Node.js ${version}`)
  return bad(`Node.js ${version} is too old`, 'Install version 20.19 or newer.')
}

/** onnxruntime and embedded ClickHouse bring binaries for Linux with glibc and for Apple silicon. */
export function checkPlatform(platform: string, arch: string, glibc: string | undefined): Finding {
  const shown = `${platform} ${arch}${glibc === undefined ? '' : `, glibc ${glibc}`}, ${availableParallelism()} cores, ${gib(totalmem())} memory`
  if (platform === 'darwin' && arch === 'arm64') return ok(shown)
  if (platform === 'linux' && (arch === 'x64' || arch === 'arm64')) {
    return glibc === undefined
      ? bad(`${shown}, no glibc`, 'Use a distribution with glibc, such as Debian; Alpine has musl.')
      : ok(shown)
  }
  return bad(shown, 'Use Linux (x64 or arm64, glibc) or a Mac with Apple silicon.')
}

/** What the running Node was linked against; undefined for musl and on other systems. */
export function glibcVersion(): string | undefined {
  const report = process.report.getReport() as unknown as { readonly header: { readonly glibcVersionRuntime?: string } }
  return report.header.glibcVersionRuntime
}

/** Event times and journal clocks are compared with this machine's clock, so an absurd one rejects everything. */
export function checkClock(nowMs: number): Finding {
  const shown = new Date(nowMs).toISOString()
  if (nowMs >= NOT_BEFORE_MS) return ok(shown)
  return bad(`the clock says ${shown}`, 'Set it (timedatectl); events ahead of it by more than a day are refused.')
}

export function checkDataFolder(folder: string): Finding {
  const existing = nearestExisting(folder)
  try {
    accessSync(existing, constants.W_OK | constants.X_OK)
  } catch {
    return bad(
      `${existing} cannot be written`,
      'Give this user the right to write there, or name another folder with --data.',
    )
  }
  const { bavail, bsize } = statfsSync(existing)
  const free = bavail * bsize
  const shown = `${folder}${existsSync(folder) ? '' : ' (made at first start)'}, ${gib(free)} free`
  if (free >= FREE_BYTES_WANTED) return ok(shown)
  return warn(
    shown,
    `Free some space: below ${gib(FREE_BYTES_WANTED)} the log may fill the disk, and then the path waits.`,
  )
}

/** What `make native` builds; training runs without it, only slower. */
export function checkNativeBuild(root: string): Finding {
  const built = ['.native', '.native-gpu'].filter((folder) => existsSync(join(root, folder, 'tfjs_binding.node')))
  if (built.length > 0) return ok(`${built.join(' and ')} built`)
  return warn(
    'not built: training uses WebAssembly, a tenth as fast',
    'Run `make native` (or `make native-gpu`) if you train often.',
  )
}

/** Only the tests need a browser. */
export function checkBrowser(env: Readonly<Record<string, string | undefined>>): Finding {
  const named = env['WEIR_CHROMIUM']
  const places = named === undefined || named === '' ? BROWSERS : [named]
  const found = places.find((place) => existsSync(place))
  if (found !== undefined) return ok(found)
  return warn(
    'no Chromium: `make test` skips the page',
    'Install it (Debian: apt-get install chromium) or set WEIR_CHROMIUM.',
  )
}

const NOT_BEFORE_MS = Date.UTC(2025, 0, 1)
const FREE_BYTES_WANTED = 2 * 1024 ** 3
const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

function nearestExisting(folder: string): string {
  let place = folder
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place)
  return place
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}
