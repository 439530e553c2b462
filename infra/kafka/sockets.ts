import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'

/** Opens the connection below TLS; a test puts a cable with a knife in here. */
export type ConnectSocket = (host: string, port: number) => Socket

export const connectDirectly: ConnectSocket = (host, port) => connectPlain({ host, port })

const KEEP_ALIVE_MS = 30_000

/**
 * Sockets for kafkajs. It listens to the end and the errors of a socket that it has given up and takes them for those of
 * the one that followed: a late FIN of the old connection fails the requests of the new one, and a connection attempt
 * that timed out lives on. So a socket that kafkajs ends is cut off from it first.
 *
 * @param onLost told of every connection that was there and is gone, whoever ended it
 */
export function createSocketFactory(connect: ConnectSocket, onLost: () => void = () => {}) {
  return function openSocket(options: {
    readonly host: string
    readonly port: number
    readonly ssl: ConnectionOptions | null
    readonly onConnect: () => void
  }): Socket {
    const { host, port, ssl, onConnect } = options
    const plain = connect(host, port)
    plain.setNoDelay(true)
    plain.setKeepAlive(true, KEEP_ALIVE_MS)
    plain.once('connect', () => tellOnce(plain, onLost))
    if (ssl === null) {
      plain.once('connect', onConnect)
      return endingForGood(plain)
    }
    const secure = connectTls({ socket: plain, host, ...(isIP(host) === 0 && { servername: host }), ...ssl }, onConnect)
    plain.once('error', (error) => secure.destroy(error))
    return endingForGood(secure)
  }
}

/** Its end comes a moment before it is closed, and requests may be made in between. */
function tellOnce(socket: Socket, onLost: () => void): void {
  let isLost = false
  const lose = (): void => {
    if (!isLost) onLost()
    isLost = true
  }
  socket.once('end', lose)
  socket.once('close', lose)
}

/**
 * kafkajs ends a socket when nothing is under way on it, or nothing that is still waited for. One that is still connecting
 * has to fail first: kafkajs would wait for it until its time is up.
 */
function endingForGood(socket: Socket): Socket {
  let isEnded = false
  const endForGood = (): Socket => {
    if (isEnded) return socket
    isEnded = true
    if (socket.connecting) socket.emit('error', new Error('the connection was given up'))
    for (const event of ['data', 'end', 'error', 'timeout'] as const) socket.removeAllListeners(event)
    socket.on('error', () => {})
    return socket.destroy()
  }
  // kafkajs lets go of a socket only after it has ended it; each time anew, and a destroyed one counts that.
  return Object.assign(socket, { end: endForGood, unref: () => socket })
}
