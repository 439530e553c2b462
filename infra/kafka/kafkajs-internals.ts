import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { logCreator, logLevel, Mechanism, SASLOptions } from 'kafkajs'
import { CODE, KafkaError } from './kafka-errors.ts'

/**
 * The parts of kafkajs that lie below its public face, with the types of what is used of them. They are taken because
 * its consumer and producer hide what the log needs: errors by partition, the last stable offset, the outcome of each
 * step of a transaction. kafkajs is pinned, so its inside does not move; nothing else in Weir knows of it.
 */
export interface RawCluster {
  readonly targetTopics: Set<string>
  readonly brokerPool: {
    metadata: RawMetadata | null
    brokers: Readonly<Record<string, RawBroker>>
    seedBroker: RawBroker | undefined
    createBroker: (options: unknown) => RawBroker
  }
  connect(): Promise<void>
  disconnect(): Promise<void>
  /** Opens no connection any more. */
  shut(): void
  refreshMetadata(): Promise<void>
  findBroker(of: { readonly nodeId: string | number }): Promise<RawBroker>
  findGroupCoordinator(of: { readonly groupId: string; readonly coordinatorType: 0 | 1 }): Promise<RawBroker>
}

export interface RawMetadata {
  readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number }[]
  readonly topicMetadata: readonly {
    readonly topicErrorCode: number
    readonly topic: string
    readonly partitionMetadata: readonly {
      readonly partitionErrorCode: number
      readonly partitionId: number
      readonly leader: number
      readonly replicas: readonly number[]
      readonly isr: readonly number[]
    }[]
  }[]
}

export interface RawBroker {
  readonly nodeId: number | null
  readonly versions: Readonly<Record<number, { readonly minVersion: number; readonly maxVersion: number }>> | null
  readonly connectionPool: RawPool
  metadata: (topics: readonly string[]) => Promise<RawMetadata>
  isConnected(): boolean
  disconnect(): Promise<void>
  lookupRequest(apiKey: number, definition: unknown): (args: object) => ProtocolRequest<object>
  initProducerId(request: {
    readonly transactionalId: string | undefined
    readonly transactionTimeout: number
  }): Promise<{ readonly producerId: string; readonly producerEpoch: number }>
  addPartitionsToTxn(request: {
    readonly transactionalId: string
    readonly producerId: string
    readonly producerEpoch: number
    readonly topics: readonly { readonly topic: string; readonly partitions: readonly number[] }[]
  }): Promise<unknown>
  endTxn(request: {
    readonly transactionalId: string
    readonly producerId: string
    readonly producerEpoch: number
    readonly transactionResult: boolean
  }): Promise<unknown>
  offsetCommit(request: {
    readonly groupId: string
    readonly groupGenerationId: number
    readonly memberId: string
    readonly topics: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
    }[]
  }): Promise<unknown>
}

interface RawPool {
  readonly pool: readonly RawConnection[]
  readonly host: string
  readonly port: number
  getConnection: (index?: number) => Promise<RawConnection>
  send<T>(request: ProtocolRequest<T>): Promise<T>
}

interface RawConnection {
  readonly socket?: Socket
  /** What has come of an answer that is not whole yet. */
  chunks: Buffer[]
  bytesBuffered: number
  bytesNeeded: number
  isConnected(): boolean
  connect(): Promise<unknown>
  rejectRequests(error: Error): void
}

interface ProtocolRequest<T> {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    readonly encode: () => Promise<object>
  }
  readonly response: {
    readonly decode: (payload: Buffer) => Promise<object>
    readonly parse: (decoded: object) => Promise<T>
  }
  readonly logResponseError?: boolean
}

export interface ClusterOptions {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly ssl: ConnectionOptions | null
  readonly sasl: SASLOptions | Mechanism | null
  readonly connectionTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly socketFactory: (options: {
    readonly host: string
    readonly port: number
    readonly ssl: ConnectionOptions | null
    readonly onConnect: () => void
  }) => Socket
  readonly logLevel: logLevel
  readonly logCreator: logCreator
}

const require = createRequire(import.meta.url)

/** The keys of the requests that are written here rather than by kafkajs. */
export const API = { produce: 0, fetch: 1, listOffsets: 2, metadata: 3, endTxn: 26 } as const

/**
 * A kafkajs cluster: metadata, one pool of connections a broker, TLS, authentication, negotiated versions. Its own
 * retries are short, since whoever asks retries with knowledge of what the answer is for.
 */
export function createCluster(options: ClusterOptions): RawCluster {
  clampIdleTimers()
  const Cluster = require('kafkajs/src/cluster') as new (options: object) => RawCluster
  const { createLogger } = require('kafkajs/src/loggers') as { createLogger: (options: object) => object }
  const cluster = new Cluster({
    logger: createLogger({ level: options.logLevel, logCreator: options.logCreator }),
    socketFactory: options.socketFactory,
    brokers: options.brokers,
    ssl: options.ssl,
    sasl: options.sasl,
    clientId: options.clientId,
    connectionTimeout: options.connectionTimeoutMs,
    authenticationTimeout: options.connectionTimeoutMs,
    requestTimeout: options.requestTimeoutMs,
    enforceRequestTimeout: true,
    metadataMaxAge: 300_000,
    retry: { initialRetryTime: 10, maxRetryTime: 200, factor: 0.2, multiplier: 2, retries: 2 },
    allowAutoTopicCreation: false,
  })
  const pool = cluster.brokerPool
  const { createBroker } = pool
  let isShut = false
  pool.createBroker = (brokerOptions) => {
    const broker = createBroker(brokerOptions)
    broker.metadata = (topics) => tolerantMetadata(broker, topics)
    connectOnce(broker.connectionPool, () => isShut)
    return broker
  }
  const shut = (): void => {
    isShut = true
  }
  return Object.assign(cluster, { shut })
}

/**
 * Sends a request that is written and read here over a broker's connection.
 *
 * @param body what follows the request's header
 * @param decode reads the answer's payload; gives the throttle time that the broker asks for, and the value
 */
export function sendRaw<T>(
  broker: RawBroker,
  request: { readonly apiKey: number; readonly apiVersion: number; readonly apiName: string; readonly body: Buffer },
  decode: (payload: Buffer) => { readonly throttleMs: number; readonly value: T },
): Promise<T> {
  return closingOnLoss(broker, () =>
    broker.connectionPool.send<T>({
      request: { ...request, encode: async () => encoderOf(request.body) },
      response: {
        decode: async (payload) => {
          const { throttleMs, value } = decode(payload)
          return { clientSideThrottleTime: throttleMs, value }
        },
        parse: async (decoded) => (decoded as { readonly value: T }).value,
      },
      logResponseError: false,
    }),
  )
}

/** Sends a request that kafkajs writes, and gives its answer as it came: error codes in it are the caller's to read. */
export function sendUnchecked<T>(broker: RawBroker, api: 'Metadata' | 'ListOffsets', args: object): Promise<T> {
  const { requests } = require('kafkajs/src/protocol/requests') as { requests: Record<string, unknown> }
  const apiKey = api === 'Metadata' ? API.metadata : API.listOffsets
  const protocol = broker.lookupRequest(apiKey, requests[api])(args)
  return closingOnLoss(broker, () =>
    broker.connectionPool.send<T>({
      ...protocol,
      response: { decode: protocol.response.decode, parse: async (decoded) => decoded as T },
    }),
  )
}

/** Ends a broker's connections at once; requests under way fail, the next one connects anew. */
export function cutConnections(broker: RawBroker, reason: Error): void {
  for (const connection of broker.connectionPool.pool) {
    connection.rejectRequests(reason)
    connection.socket?.destroy(reason)
  }
}

export function brokersOf({ brokerPool }: RawCluster): RawBroker[] {
  const brokers = new Set(Object.values(brokerPool.brokers))
  if (brokerPool.seedBroker !== undefined) brokers.add(brokerPool.seedBroker)
  return [...brokers]
}

/**
 * kafkajs refuses all metadata when one topic or partition has an error: one without a leader would hide the others. An
 * answer without brokers is none, though: a broker that does not accept who asks says so by the topics' error.
 */
async function tolerantMetadata(broker: RawBroker, topics: readonly string[]): Promise<RawMetadata> {
  const metadata = await sendUnchecked<RawMetadata>(broker, 'Metadata', {
    // An empty list means all topics of the cluster to kafkajs; brokers alone come with a topic that cannot exist.
    topics: topics.length === 0 ? [NO_TOPIC] : topics,
    allowAutoTopicCreation: false,
  })
  if (metadata.brokers.length > 0) return metadata
  throw new KafkaError(metadata.topicMetadata[0]?.topicErrorCode ?? CODE.none, 'asking for brokers and topics')
}

const NO_TOPIC = '..'

/**
 * Two requests that find a connection closed would each open a socket, and one of them would be lost; a request that
 * was under way when the cluster was closed would open one that nobody ends.
 */
function connectOnce(pool: RawPool, isShut: () => boolean): void {
  const connecting = new Map<number, Promise<unknown>>()
  pool.getConnection = async (index = 0) => {
    if (isShut()) throw new Error('the connection was closed')
    const connection = pool.pool[index]!
    if (connection.isConnected()) return connection
    let connected = connecting.get(index)
    if (connected === undefined) {
      forgetHalfAnswer(connection)
      connected = connection.connect().finally(() => connecting.delete(index))
      connecting.set(index, connected)
    }
    await connected
    return connection
  }
}

/** kafkajs would take the first answer on a new connection for the rest of one that broke off on the old. */
function forgetHalfAnswer(connection: RawConnection): void {
  connection.chunks = []
  connection.bytesBuffered = 0
  connection.bytesNeeded = SIZE_BYTES
}

/** Every answer begins with its size. */
const SIZE_BYTES = 4

async function closingOnLoss<T>(broker: RawBroker, send: () => Promise<T>): Promise<T> {
  try {
    return await send()
  } catch (error) {
    if ((error as Error).name === 'KafkaJSConnectionClosedError') await broker.disconnect()
    throw error
  }
}

/** What kafkajs reads of an encoder when it puts the header before a request: filling one would be a copy more. */
function encoderOf(body: Buffer): object {
  return { buf: body, buffer: body }
}

interface RequestQueuePrototype {
  readonly pending: readonly unknown[]
  scheduleCheckPendingRequests: (() => void) & { readonly isClamped?: true }
}

/**
 * Every answer makes kafkajs re-arm a timer of one millisecond for ever, even with nothing to send: several percent of a
 * core for an idle process, and a warning on Node 24. With nothing pending there is nothing to check.
 */
export function clampIdleTimers(): void {
  const { prototype } = require('kafkajs/src/network/requestQueue') as { prototype: RequestQueuePrototype }
  const original = prototype.scheduleCheckPendingRequests
  if (original.isClamped === true) return
  const clamped = function (this: RequestQueuePrototype): void {
    if (this.pending.length > 0) original.call(this)
  }
  prototype.scheduleCheckPendingRequests = Object.assign(clamped, { isClamped: true as const })
}
