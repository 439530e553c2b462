import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

export interface KafkaNode {
  readonly id: number
  readonly port: number
  readonly controllerPort: number
  readonly securePort: number
  /** Where it listens for those who come through a relay. */
  readonly relayedPort: number
  readonly directoryId: string
  readonly dataFolder: string
  readonly propertiesFile: string
}

export interface KafkaUser {
  readonly name: string
  readonly password: string
}

const KEY_PASSWORD = 'only-for-tests'

/** Settings of one node. All are broker and controller; quick to notice that one is gone, and small. */
export function brokerProperties(
  nodes: readonly KafkaNode[],
  node: KafkaNode,
  options: {
    readonly user?: KafkaUser
    readonly relayPort?: number
    readonly properties?: Readonly<Record<string, string>>
  },
): string {
  const copies = String(nodes.length)
  const inStep = nodes.length === 1 ? '1' : '2'
  const { user, relayPort } = options
  const secure = user === undefined ? '' : `,SECURE://localhost:${node.securePort}`
  const relayed = relayPort === undefined ? '' : `,RELAYED://127.0.0.1:${node.relayedPort}`
  const relay = relayPort === undefined ? '' : `,RELAYED://127.0.0.1:${relayPort}`
  const properties: Record<string, string> = {
    'process.roles': 'broker,controller',
    'node.id': String(node.id),
    listeners: `PLAINTEXT://127.0.0.1:${node.port},CONTROLLER://127.0.0.1:${node.controllerPort}${secure}${relayed}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${node.port}${secure}${relay}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL,RELAYED:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.quorum.bootstrap.servers': nodes.map((n) => `127.0.0.1:${n.controllerPort}`).join(','),
    'log.dirs': node.dataFolder,
    'auto.create.topics.enable': 'false',
    'default.replication.factor': copies,
    'min.insync.replicas': inStep,
    'offsets.topic.replication.factor': copies,
    'offsets.topic.num.partitions': '2',
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': inStep,
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': inStep,
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '500',
    'broker.session.timeout.ms': '2000',
    'broker.heartbeat.interval.ms': '500',
    'controller.quorum.election.timeout.ms': '500',
    'controller.quorum.fetch.timeout.ms': '1000',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'log.cleaner.dedupe.buffer.size': '16777216',
    ...(user !== undefined && secureProperties(dirname(node.propertiesFile), user)),
    ...options.properties,
  }
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('')
}

function secureProperties(folder: string, user: KafkaUser): Record<string, string> {
  const prefix = 'listener.name.secure'
  const module = 'org.apache.kafka.common.security'
  return {
    'ssl.keystore.location': join(folder, 'broker.p12'),
    'ssl.keystore.type': 'PKCS12',
    'ssl.keystore.password': KEY_PASSWORD,
    [`${prefix}.sasl.enabled.mechanisms`]: 'SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER',
    [`${prefix}.scram-sha-256.sasl.jaas.config`]: `${module}.scram.ScramLoginModule required;`,
    [`${prefix}.scram-sha-512.sasl.jaas.config`]: `${module}.scram.ScramLoginModule required;`,
    [`${prefix}.plain.sasl.jaas.config`]: `${module}.plain.PlainLoginModule required user_${user.name}="${user.password}";`,
    [`${prefix}.oauthbearer.sasl.jaas.config`]: `${module}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
  }
}

/** A key for `localhost`, signed by itself: its certificate is the authority to trust. */
export async function makeKeys(folder: string, caFile: string): Promise<void> {
  const store = join(folder, 'broker.p12')
  rmSync(store, { force: true })
  const keytool = (args: readonly string[]): Promise<unknown> =>
    promisify(execFile)('keytool', [...args, '-keystore', store, '-storetype', 'PKCS12', '-storepass', KEY_PASSWORD])
  const key = ['-keyalg', 'EC', '-groupname', 'secp256r1', '-validity', '30']
  await keytool(['-genkeypair', '-alias', 'broker', ...key, '-dname', 'CN=localhost', '-ext', 'SAN=dns:localhost'])
  await keytool(['-exportcert', '-rfc', '-alias', 'broker', '-file', caFile])
}
