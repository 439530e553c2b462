// Writes into package-lock.json the packages for other platforms that npm left out. A registry mirror that does not carry
// them makes npm drop them silently, and `npm ci` then calls the file out of step, here and on every other machine.
// What is written has version and platform as the depending package and the name say, and no checksum, since the
// package cannot be seen; run `npm install` against the full registry to get that too.
import { readFileSync, writeFileSync } from 'node:fs'

const FILE = new URL('../../package-lock.json', import.meta.url)
const SYSTEMS = ['darwin', 'linux', 'win32', 'android', 'freebsd', 'openbsd', 'netbsd', 'sunos', 'aix', 'openharmony']
const PROCESSORS = ['x64', 'arm64', 'ia32', 'arm', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el']

const lock = JSON.parse(readFileSync(FILE, 'utf8'))
let added = 0
for (const owner of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(owner.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`
    if (lock.packages[key] !== undefined) continue
    const parts = name.split(/[/-]/)
    const os = parts.find((part) => SYSTEMS.includes(part))
    const cpu = parts.find((part) => PROCESSORS.includes(part))
    if (os === undefined || cpu === undefined || !/^\d/.test(version)) {
      console.error(`complete-lock: ${name}@${version} is not a package for one platform; left alone`)
      continue
    }
    const libc = parts.includes('musl') || parts.includes('musleabihf') ? ['musl'] : undefined
    const glibc = parts.includes('gnu') || parts.includes('gnueabihf') ? ['glibc'] : undefined
    lock.packages[key] = {
      version,
      cpu: [cpu],
      ...(owner.dev === true && { dev: true }),
      ...((libc ?? glibc) !== undefined && { libc: libc ?? glibc }),
      optional: true,
      os: [os],
    }
    added++
  }
}
const [[root, own], ...others] = Object.entries(lock.packages)
lock.packages = Object.fromEntries([[root, own], ...others.sort(([a], [b]) => (a < b ? -1 : 1))])
writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`)
console.error(`complete-lock: ${added} packages added`)
