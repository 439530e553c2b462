import { accessSync, constants, existsSync, readdirSync, statfsSync, statSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { ageText } from './age.ts'
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

/**
 * Event times and journal clocks are compared with this machine's clock, so an absurd one rejects everything. Files that
 * were written later than now show that it was put back, or that another machine keeps them and disagrees.
 *
 * @param folder the data folder
 */
export function checkClock(nowMs: number, folder: string): Finding {
  const shown = new Date(nowMs).toISOString()
  if (nowMs < NOT_BEFORE_MS) {
    return bad(`the clock says ${shown}`, 'Set it (timedatectl); events ahead of it by more than a day are refused.')
  }
  const aheadMs = newestWriteMs(folder) - nowMs
  if (aheadMs <= FILES_AHEAD_MS_MAX) return ok(shown)
  return warn(
    `${shown}, and files in the data folder were written ${ageText(aheadMs)} later than that`,
    'Synchronise the clock, and that of the file server if the folder lies on one (chrony, systemd-timesyncd).',
  )
}

/**
 * @param checkpointBytes size of the newest checkpoint; the next one is written beside it
 */
export function checkDataFolder(folder: string, checkpointBytes: number): Finding {
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
  return checkDisk(bavail * bsize, checkpointBytes, `${folder}${existsSync(folder) ? '' : ' (made at first start)'}`)
}

export function checkDisk(freeBytes: number, checkpointBytes: number, shownFolder: string): Finding {
  const shown = `${shownFolder}, ${gib(freeBytes)} free`
  if (freeBytes < FREE_BYTES_MIN) {
    return bad(shown, 'Free space now: on a full disk the path waits, and checkpoints are not written.')
  }
  const wanted = Math.max(FREE_BYTES_WANTED, 2 * checkpointBytes)
  if (freeBytes >= wanted) return ok(shown)
  return warn(
    shown,
    `Free some space: below ${gib(wanted)} log and checkpoints may fill the disk, and then the path waits.`,
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
const FREE_BYTES_MIN = 256 * 1024 ** 2
const FILES_AHEAD_MS_MAX = 2_000
const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

function nearestExisting(folder: string): string {
  let place = folder
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place)
  return place
}

/** Newest change of a file in the folder or one below it; 0 where there is none. */
function newestWriteMs(folder: string): number {
  if (!existsSync(folder)) return 0
  let newestMs = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const places = entry.isDirectory()
      ? readdirSync(join(folder, entry.name)).map((name) => join(folder, entry.name, name))
      : [join(folder, entry.name)]
    for (const place of places) {
      newestMs = Math.max(newestMs, statSync(place, { throwIfNoEntry: false })?.mtimeMs ?? 0)
    }
  }
  return newestMs
}

function gib(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GiB`
}
