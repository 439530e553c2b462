import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { createSocketFactory } from '#infra/kafka/sockets.ts'

let server: Server
let port = 0

before(async () => {
  server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as { readonly port: number }).port
})
after(() => {
  server.close()
})

/** Listens as kafkajs does. */
function open(isConnected: () => void = () => {}): { readonly socket: Socket; readonly heard: string[] } {
  const openSocket = createSocketFactory((host, port) => connect({ host, port }))
  const socket = openSocket({ host: '127.0.0.1', port, ssl: null, onConnect: isConnected })
  const heard: string[] = []
  for (const event of ['data', 'end', 'error', 'timeout'] as const) socket.on(event, () => void heard.push(event))
  return { socket, heard }
}

test('a socket that was ended says nothing more to who ended it', async () => {
  const accepted = once(server, 'connection') as Promise<[Socket]>
  let isConnected = false
  const { socket, heard } = open(() => {
    isConnected = true
  })
  const [peer] = await accepted
  await once(socket, 'ready')
  assert.ok(isConnected)
  const closed = once(socket, 'close')
  socket.end()
  peer.on('error', () => {})
  peer.end('a late answer')
  await closed
  socket.emit('error', new Error('late'))
  assert.deepEqual(heard, [])
  for (let i = 0; i < 20; i++) socket.unref()
  assert.equal(socket.listenerCount('connect'), 0)
})

test('a socket that is ended while it still connects fails at once, and does not connect any more', async () => {
  let isConnected = false
  const { socket, heard } = open(() => {
    isConnected = true
  })
  // `once` would take the error for its own.
  const closed = new Promise((resolve) => socket.on('close', resolve))
  socket.end()
  socket.end()
  await closed
  assert.deepEqual([heard, isConnected], [['error'], false])
})
