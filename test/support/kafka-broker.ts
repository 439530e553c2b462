import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import type { KafkaHome } from './kafka-home.ts'
import { brokerProperties, type KafkaNode, type KafkaUser, makeKeys } from './kafka-node.ts'

export interface KafkaOptions {
  /** One, or three with every topic on all of them. */
  readonly nodes?: 1 | 3
  /** A second address for clients, with TLS, that asks this user to log in. */
  readonly user?: KafkaUser
  /** Keeps what was written, and takes up what is there; absent: a temporary folder. */
  readonly folder?: string
  /** Port for clients; absent: a free one. */
  readonly port?: number
  /** A further address of the first node for clients, at which a relay stands: they come and go through it. */
  readonly relayPort?: number
  readonly properties?: Readonly<Record<string, string>>
  /** Compiled and with memory as in production, which takes some time at first, rather than small and soon ready. */
  readonly isMeasured?: boolean
}

export interface RunningKafka {
  /** `host:port` of every node. */
  readonly brokers: readonly string[]
  /** The same with TLS and a password; empty without a user. */
  readonly secureBrokers: readonly string[]
  /** Where a relay to the first node leads. */
  readonly relayTarget: string
  /** Authority that signed the brokers, PEM; there only with a user. */
  readonly caFile: string
  /** Process of a node, counted from 0. */
  pidOf(node: number): number
  /** SIGKILL, and what was written stays. */
  kill(node: number): Promise<void>
  /** Starts a node that was killed. */
  restart(node: number): Promise<void>
  /** SIGKILL for all. */
  close(): Promise<void>
  /** SIGTERM: waits until everything is written. */
  stop(): Promise<void>
}

const READY_MS_MAX = 90_000
const CLUSTER_ID_BYTES = 16
const SAID_MAX = 30

/** Starts Kafka in KRaft mode on loopback ports; ready when this resolves (3 to 5 s). It ends with this process. */
export async function startKafka(home: KafkaHome, options: KafkaOptions = {}): Promise<RunningKafka> {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'weir-kafka-'))
  mkdirSync(folder, { recursive: true })
  const count = options.nodes ?? 1
  const nodes = await makeNodes(folder, count, options.port)
  const caFile = join(folder, 'ca.pem')
  if (options.user !== undefined) await makeKeys(folder, caFile)
  for (const node of nodes) writeFileSync(node.propertiesFile, brokerProperties(nodes, node, options))
  await formatAll(home, nodes, options.user)
  const running = await Promise.all(nodes.map((node) => startNode(home, node, options)))
  const end = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    await Promise.all(running.map((node) => node.end(signal)))
    if (options.folder === undefined) rmSync(folder, { recursive: true, force: true })
  }
  return {
    brokers: nodes.map(({ port }) => `127.0.0.1:${port}`),
    secureBrokers: options.user === undefined ? [] : nodes.map(({ securePort }) => `localhost:${securePort}`),
    relayTarget: `127.0.0.1:${nodes[0]!.relayedPort}`,
    caFile,
    pidOf: (node) => running[node]!.pid,
    kill: (node) => running[node]!.end('SIGKILL'),
    restart: async (node) => {
      running[node] = await startNode(home, nodes[node]!, options)
    },
    close: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}

async function makeNodes(folder: string, count: number, port: number | undefined): Promise<KafkaNode[]> {
  const ports = await freePorts(count * 4)
  return Array.from({ length: count }, (_, i) => ({
    id: i + 1,
    port: i === 0 && port !== undefined ? port : ports[i * 4]!,
    controllerPort: ports[i * 4 + 1]!,
    securePort: ports[i * 4 + 2]!,
    relayedPort: ports[i * 4 + 3]!,
    directoryId: newId(),
    dataFolder: join(folder, `node-${i + 1}`),
    propertiesFile: join(folder, `node-${i + 1}.properties`),
  }))
}

/** Formats what is not formatted. Users of SCRAM are made here, before there is a broker to ask. */
async function formatAll(home: KafkaHome, nodes: readonly KafkaNode[], user: KafkaUser | undefined): Promise<void> {
  const clusterId = newId()
  const fresh = nodes.filter(({ dataFolder }) => !existsSync(join(dataFolder, 'meta.properties')))
  await Promise.all(
    fresh.map(async (node) => {
      const voters = nodes.map((n) => `${n.id}@127.0.0.1:${n.controllerPort}:${n.directoryId}`).join(',')
      const scram = (['256', '512'] as const).flatMap((bits) =>
        user === undefined ? [] : ['--add-scram', `SCRAM-SHA-${bits}=[name=${user.name},password=${user.password}]`],
      )
      const format = ['format', '-t', clusterId, '-c', node.propertiesFile, '--initial-controllers', voters, ...scram]
      await promisify(execFile)('java', [...jvm(home, 'format'), 'kafka.tools.StorageTool', ...format])
    }),
  )
}

interface RunningNode {
  readonly pid: number
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
}

/** A shell stands between: when this process is gone, whatever its end, its pipe closes and the broker is killed. */
const GUARD = 'java "$@" < /dev/null & pid=$!; echo "pid $pid"; cat > /dev/null; kill -9 $pid 2> /dev/null'

async function startNode(home: KafkaHome, node: KafkaNode, { isMeasured = false }: KafkaOptions): Promise<RunningNode> {
  const child = spawn(
    'sh',
    ['-c', GUARD, 'sh', ...jvm(home, 'serve', isMeasured), 'kafka.Kafka', node.propertiesFile],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  // The broker's output ends with it, whoever ended it.
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => resolve())
  })
  const said: string[] = []
  const pid = await new Promise<number>((resolve, reject) => {
    let found = 0
    const settle = (how: () => void): void => {
      clearInterval(alive)
      clearTimeout(deadline)
      how()
    }
    const fail = (why: string): void => {
      child.stdin.end()
      settle(() => reject(new Error(`Kafka ${why}\n${said.join('\n')}`)))
    }
    const deadline = setTimeout(() => fail(`was not ready in ${READY_MS_MAX / 1_000} s`), READY_MS_MAX)
    const alive = setInterval(() => {
      if (found !== 0 && !isAlive(found)) fail('ended')
    }, 200)
    createInterface({ input: child.stdout }).on('line', (line) => {
      found ||= Number(/^pid (\d+)$/.exec(line)?.[1] ?? 0)
      if (said.push(line) > SAID_MAX) said.shift()
      if (/ Kafka Server started/.test(line)) settle(() => resolve(found))
    })
    child.on('error', (error) => settle(() => reject(error)))
  })
  return {
    pid,
    async end(signal) {
      if (isAlive(pid)) process.kill(pid, signal)
      while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20))
      child.stdin.end()
      await ended
    },
  }
}

/** Small, since several run beside the tests. The archive of classes halves the time to start. */
function jvm(home: KafkaHome, what: 'format' | 'serve', isMeasured = false): string[] {
  const archive =
    what === 'serve' && !existsSync(home.classArchive)
      ? [`-XX:ArchiveClassesAtExit=${home.classArchive}`, '-Xlog:cds=off', '-Xlog:cds+dynamic=off']
      : [`-XX:SharedArchiveFile=${home.classArchive}`, '-Xshare:auto', '-Xlog:cds=off']
  const size = isMeasured ? ['-Xms512m', '-Xmx512m'] : ['-Xms64m', '-Xmx384m', '-XX:TieredStopAtLevel=1']
  return [...size, '-XX:+UseSerialGC', ...archive, '-cp', home.classPath, `-Dlog4j2.configurationFile=${home.log4j}`]
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** As Kafka writes its ids; one that began with a dash would be taken for an option. */
function newId(): string {
  const id = randomBytes(CLUSTER_ID_BYTES).toString('base64url')
  return id.startsWith('-') ? newId() : id
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer()
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as { readonly port: number }).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
