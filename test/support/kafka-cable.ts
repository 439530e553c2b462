import { connect, type Socket } from 'node:net'
import type { ConnectSocket } from '#infra/kafka/sockets.ts'

/** Keys of the requests that tests care for, https://kafka.apache.org/protocol#protocol_api_keys */
export const REQUEST = { produce: 0, fetch: 1, metadata: 3, initProducerId: 22, addPartitions: 24, endTxn: 26 } as const

/**
 * `pass`; `cut`: the connection breaks and the request does not leave; `lose`: it breaks when the answer arrives; `tear`: when
 * the first bytes of it have arrived;
 * `freeze`: nothing passes over this connection any more, and it stays open; `hold`: the request leaves at `release`;
 * `feign`: a commit does not leave, and is answered as if it had been taken.
 */
export type Fate = 'pass' | 'cut' | 'lose' | 'tear' | 'freeze' | 'hold' | 'feign'

/** The network between Weir and its brokers, with a knife. Below TLS it sees nothing. */
export class Cable {
  /** Decides what becomes of a request. */
  fate: (apiKey: number) => Fate = () => 'pass'
  bytesReceived = 0
  /** Most produce requests that were under way at once on one connection. */
  producesAtOnce = 0
  /** The newest commit that was answered without having been sent. */
  feigned: CommitRequest | null = null
  private held: (() => void)[] = []
  private readonly sockets = new Set<Socket>()
  readonly connect: ConnectSocket = (host, port) => this.tap(connect({ host, port }))

  /** What is to happen to the next request of a kind; all others pass. Resolves when it has. */
  once(apiKey: number, fate: Fate): Promise<void> {
    return new Promise((resolve) => {
      this.fate = (key) => {
        if (key !== apiKey) return 'pass'
        this.fate = () => 'pass'
        resolve()
        return fate
      }
    })
  }

  /** All connections end as those to a process that is killed: quietly, and with nothing under way no request fails. */
  hangUp(): void {
    for (const socket of this.sockets) socket.emit('end')
  }

  release(): void {
    for (const send of this.held.splice(0)) send()
  }

  private tap(socket: Socket): Socket {
    const write: (bytes: Uint8Array) => boolean = socket.write.bind(socket)
    const emit: (event: string | symbol, ...args: unknown[]) => boolean = socket.emit.bind(socket)
    let isLosing = false
    let isTearing = false
    let isFrozen = false
    let produces = 0
    this.sockets.add(socket)
    socket.once('close', () => this.sockets.delete(socket))
    const tappedWrite = (bytes: Buffer): boolean => {
      const apiKey = bytes.readInt16BE(4)
      if (isFrozen) return true
      const fate = this.fate(apiKey)
      if (fate === 'cut') {
        socket.destroy(new Error('cut before a request left'))
        return false
      }
      if (fate === 'feign') {
        this.feigned = readCommit(bytes)
        const answer = Buffer.alloc(ANSWER_BYTES)
        answer.writeInt32BE(ANSWER_BYTES - 4, 0)
        answer.writeInt32BE(bytes.readInt32BE(CORRELATION_AT), 4)
        setImmediate(() => emit('data', answer))
        return true
      }
      if (fate === 'hold') {
        this.held.push(() => write(bytes))
        return true
      }
      isLosing ||= fate === 'lose'
      isTearing ||= fate === 'tear'
      isFrozen ||= fate === 'freeze'
      if (isFrozen) return true
      if (apiKey === REQUEST.produce) this.producesAtOnce = Math.max(this.producesAtOnce, ++produces)
      return write(bytes)
    }
    const tappedEmit = (event: string | symbol, ...args: unknown[]): boolean => {
      if (event !== 'data') return emit(event, ...args)
      if (isFrozen) return true
      produces = 0
      this.bytesReceived += (args[0] as Buffer).length
      if (isTearing) {
        emit(event, (args[0] as Buffer).subarray(0, TORN_BYTES))
        return emit('end')
      }
      if (!isLosing) return emit(event, ...args)
      socket.destroy(new Error('cut before an answer arrived'))
      return false
    }
    return Object.assign(socket, { write: tappedWrite, emit: tappedEmit })
  }
}

/** The writer whose transaction was to be committed. */
export interface CommitRequest {
  readonly producerId: number
  readonly producerEpoch: number
}

/** The answer's size, and part of what follows. */
const TORN_BYTES = 6
const CORRELATION_AT = 8
const CLIENT_ID_AT = 12
/** Size, correlation id, throttle time, error code: of EndTxn up to version 2. */
const ANSWER_BYTES = 14

function readCommit(bytes: Buffer): CommitRequest {
  const idAt = CLIENT_ID_AT + 2 + bytes.readInt16BE(CLIENT_ID_AT)
  const at = idAt + 2 + bytes.readInt16BE(idAt)
  return { producerId: Number(bytes.readBigInt64BE(at)), producerEpoch: bytes.readInt16BE(at + 8) }
}
