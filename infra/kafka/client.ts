import kafkajs, { type Admin, type LogEntry, type Mechanism, type SASLOptions } from 'kafkajs'
import type { ConnectionOptions } from 'node:tls'
import type { Logger } from '#infra/logger.ts'
import { WeirError } from '#schemas/errors.ts'
import { KafkaConnection } from './connection.ts'
import { type ClusterOptions, clampIdleTimers, createCluster } from './kafkajs-internals.ts'
import { type KafkaSasl, type KafkaTls, readSasl, readTls } from './security.ts'
import { type ConnectSocket, connectDirectly, createSocketFactory } from './sockets.ts'

/** How to reach the brokers. Files are read when the client is made; those that hold tokens at every authentication. */
export interface KafkaConfig {
  /** `host:port`, any of the cluster's brokers; the others are learnt from them. */
  readonly brokers: readonly string[]
  /** What brokers call this process in their logs and quotas. */
  readonly clientId: string
  readonly tls: KafkaTls | null
  readonly sasl: KafkaSasl | null
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
}

export interface KafkaClientDeps {
  readonly config: KafkaConfig
  readonly logger: Logger
  readonly connect?: ConnectSocket
}

/** Makes connections to one Kafka cluster. It holds none itself: who asks for one closes it. */
export interface KafkaClient {
  readonly config: KafkaConfig
  createConnection(topics: Iterable<string>): KafkaConnection
  createAdmin(): Admin
}

/**
 * @throws WeirError CONFIG_INVALID when an address cannot be one, a file cannot be read or a key does not fit
 */
export async function createKafkaClient(deps: KafkaClientDeps): Promise<KafkaClient> {
  const { config, logger, connect = connectDirectly } = deps
  checkBrokers(config.brokers)
  const ssl = config.tls === null ? null : await readTls(config.tls)
  const sasl = config.sasl === null ? null : await readSasl(config.sasl)
  const options: ClusterOptions = {
    brokers: config.brokers,
    clientId: config.clientId,
    ssl,
    sasl,
    connectionTimeoutMs: config.connectTimeoutMs,
    requestTimeoutMs: config.requestTimeoutMs,
    socketFactory: createSocketFactory(connect),
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => (entry) => tell(logger, entry),
  }
  return {
    config,
    createConnection: (topics) => {
      let losses = 0
      const socketFactory = createSocketFactory(connect, () => losses++)
      return new KafkaConnection(createCluster({ ...options, socketFactory }), topics, () => losses)
    },
    createAdmin: () => adminOf(options, ssl, sasl),
  }
}

function adminOf(options: ClusterOptions, ssl: ConnectionOptions | null, sasl: SASLOptions | Mechanism | null): Admin {
  clampIdleTimers()
  const kafka = new kafkajs.Kafka({
    brokers: [...options.brokers],
    clientId: options.clientId,
    ...(ssl !== null && { ssl }),
    ...(sasl !== null && { sasl }),
    connectionTimeout: options.connectionTimeoutMs,
    authenticationTimeout: options.connectionTimeoutMs,
    requestTimeout: options.requestTimeoutMs,
    socketFactory: (socket) => options.socketFactory({ ...socket, ssl: ssl === null ? null : socket.ssl }),
    logLevel: options.logLevel,
    logCreator: options.logCreator,
  })
  return kafka.admin({ retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 5 } })
}

/**
 * kafkajs calls ordinary things errors: a broker that restarts, a coordinator that is being looked for. What matters of
 * it reaches Weir as a rejected promise and is told there, once. Only sentence and address are taken over: its other
 * fields may hold requests.
 */
function tell(logger: Logger, { namespace, log }: LogEntry): void {
  const broker: unknown = log['broker']
  logger.debug(
    { part: `kafkajs ${namespace}`, ...(typeof broker === 'string' && { broker }) },
    log.message.slice(0, MESSAGE_MAX),
  )
}

const MESSAGE_MAX = 300

function checkBrokers(brokers: readonly string[]): void {
  if (brokers.length === 0) {
    throw new WeirError('CONFIG_INVALID', 'no broker is named', {
      where: 'kafka.brokers',
      fix: 'Name at least one as host:port.',
    })
  }
  for (const broker of brokers) {
    const match = /^[^:\s@/]+:(\d{1,5})$/.exec(broker)
    if (match !== null && Number(match[1]) >= 1 && Number(match[1]) <= 65_535) continue
    throw new WeirError('CONFIG_INVALID', `'${broker}' is not the address of a broker`, {
      where: 'kafka.brokers',
      fix: 'Write host:port, with a name for a machine that has an IPv6 address only.',
    })
  }
}
