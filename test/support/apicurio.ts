import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Optional } from './optional-tool.ts'

const VERSION = '3.0.9'
const SHA256 = '2b28181501a20cbf6efcd77f9b7153908fc01f3d3a7c32024c0bd9e1b04c8a43'
const FOLDER = fileURLToPath(new URL('../../.kafka/registry', import.meta.url))
const HOME = join(FOLDER, `apicurio-${VERSION}`)
const JAVA_MIN = 17
const FETCH_MS_MAX = 600_000
const START_MS_MAX = 60_000
const SAID_LINES_MAX = 30

/** A schema registry that others have written: Apicurio, from Maven Central, kept in `.kafka/registry` (115 MB). Gives its folder. */
export async function prepareApicurio(): Promise<Optional<string>> {
  const run = promisify(execFile)
  try {
    const { stderr } = await run('java', ['-version'])
    const major = Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0)
    if (major < JAVA_MIN) return missing(`Java ${JAVA_MIN} is needed, this is ${major}`)
  } catch {
    return missing('no Java')
  }
  if (existsSync(HOME)) return { tool: HOME, missing: null }
  mkdirSync(FOLDER, { recursive: true })
  const fresh = mkdtempSync(join(FOLDER, '.fetch-'))
  try {
    const artifact = `io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`
    // Later ones also want the parent of its description, which is not published.
    const goal = 'org.apache.maven.plugins:maven-dependency-plugin:2.8:copy'
    await run('mvn', ['-q', '-B', goal, `-Dartifact=${artifact}`, `-DoutputDirectory=${fresh}`], {
      timeout: FETCH_MS_MAX,
    })
    const archive = join(fresh, `apicurio-registry-app-${VERSION}-all.tar.gz`)
    const hash = createHash('sha256')
    await pipeline(createReadStream(archive), hash)
    if (hash.digest('hex') !== SHA256) return missing('what Maven Central sent is not what is expected (sha256)')
    mkdirSync(join(fresh, 'home'))
    await run('tar', ['xzf', archive, '-C', join(fresh, 'home')])
    renameSync(join(fresh, 'home'), HOME)
    return { tool: HOME, missing: null }
  } catch (error) {
    const said = /^\[ERROR\] (.{1,300})/m.exec((error as { readonly stdout?: string }).stdout ?? '')?.[1]
    return missing(`mvn or tar failed: ${said ?? (error instanceof Error ? error.message : '')}`)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}

export interface RunningApicurio {
  /** Where its Confluent API lies. */
  readonly url: string
  close(): Promise<void>
}

/** Empty, in memory, on a free loopback port; ready when this returns (4 to 7 s). */
export async function startApicurio(home: string): Promise<RunningApicurio> {
  const jvm = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']
  const child = spawn('java', [...jvm, '-jar', `apicurio-registry-app-${VERSION}-runner.jar`], {
    cwd: home,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      // Without it the line with the address is not written.
      QUARKUS_LOG_LEVEL: 'INFO',
      QUARKUS_HTTP_HOST: '127.0.0.1',
      QUARKUS_HTTP_PORT: '0',
      APICURIO_STORAGE_KIND: 'sql',
      APICURIO_STORAGE_SQL_KIND: 'h2',
      APICURIO_DATASOURCE_URL: 'jdbc:h2:mem:registry',
    },
  })
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => resolve())
  })
  const said: string[] = []
  const tooLate = setTimeout(() => child.kill('SIGKILL'), START_MS_MAX)
  const address = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /Listening on: (http:\/\/[\d.]+:\d+)/.exec(line)?.[1]
      if (found !== undefined) resolve(found)
      if (said.push(line) > SAID_LINES_MAX) said.shift()
    })
    child.on('error', reject)
    child.on('close', (code) => reject(new Error(`Apicurio ended with ${code}\n${said.join('\n')}`)))
  }).finally(() => clearTimeout(tooLate))
  return {
    url: `${address}/apis/ccompat/v7`,
    close: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

function missing(why: string): Optional<string> {
  return { tool: null, missing: `no schema registry to test against (Apicurio ${VERSION}): ${why}` }
}
