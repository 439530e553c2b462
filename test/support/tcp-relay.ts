import { connect, createServer, type Server, type Socket } from 'node:net'

/** A network between two processes that can be cut: what passes it is not looked at. */
export interface TcpRelay {
  readonly port: number
  /** Nothing passes any more, and nobody is told: connections stay open and silent, new ones too. */
  freeze(): void
  /** Connections break, and new ones are taken and broken at once. */
  cut(): void
  /** New connections pass again; those of before are broken. */
  mend(): void
  close(): Promise<void>
}

/** @param target asked at every connection, as `host:port` */
export async function startTcpRelay(target: () => string): Promise<TcpRelay> {
  const sockets = new Set<Socket>()
  let state: 'open' | 'frozen' | 'cut' = 'open'
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  }
  const breakAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const server = createServer((near) => {
    keep(near)
    if (state === 'cut') near.destroy()
    if (state !== 'open') return
    const [host, port] = target().split(':')
    const far = connect(Number(port), host)
    keep(far)
    near.pipe(far)
    far.pipe(near)
    near.once('close', () => far.destroy())
    far.once('close', () => near.destroy())
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => resolve())
  })
  return {
    port: portOf(server),
    freeze() {
      state = 'frozen'
      for (const socket of sockets) socket.unpipe().pause()
    },
    cut() {
      state = 'cut'
      breakAll()
    },
    mend() {
      state = 'open'
      breakAll()
    },
    close() {
      breakAll()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function portOf(server: Server): number {
  return (server.address() as { readonly port: number }).port
}
