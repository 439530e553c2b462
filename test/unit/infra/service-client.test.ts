import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import {
  isProcessAlive,
  readServiceAddress,
  removeServiceAddress,
  type ServiceAddress,
  writeServiceAddress,
} from '#infra/service-address.ts'
import { createServiceClient, findService } from '#infra/service-client.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

function addressIn(folder: string): ServiceAddress {
  writeFileSync(join(folder, 'api.token'), 'secret-token\n')
  return {
    pid: process.pid,
    url: 'http://127.0.0.1:1',
    tokenFile: join(folder, 'api.token'),
    command: 'run',
    startedAt: 5,
  }
}

interface Seen {
  readonly url: string
  readonly init: RequestInit
}

function answering(status: number, body: unknown, seen: Seen[] = []): typeof fetch {
  return async (url, init) => {
    seen.push({ url: url as string, init: init! })
    return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status })
  }
}

function failing(error: unknown): typeof fetch {
  return async () => {
    throw error
  }
}

describe('the address of the running service', () => {
  test('is read as it was written, and only its owner takes it away', () =>
    inTempFolder((folder) => {
      assert.equal(readServiceAddress(folder), null)
      const address = addressIn(folder)
      writeServiceAddress(folder, address)
      assert.deepEqual(readServiceAddress(folder), address)
      removeServiceAddress(folder, address.pid + 1)
      assert.deepEqual(readServiceAddress(folder), address)
      removeServiceAddress(folder, address.pid)
      assert.equal(readServiceAddress(folder), null)
    }))

  test('counts as none when it is damaged', () =>
    inTempFolder((folder) => {
      writeFileSync(join(folder, 'service.json'), '{"pid":')
      assert.equal(readServiceAddress(folder), null)
      writeFileSync(join(folder, 'service.json'), '{"pid": "x"}')
      assert.equal(readServiceAddress(folder), null)
    }))

  test('of a process that is gone leads nowhere', () =>
    inTempFolder(async (folder) => {
      writeServiceAddress(folder, { ...addressIn(folder), pid: 4_194_304 + 7 })
      assert.equal(await findService(folder, { timeoutMs: 100, fetch: failing(new Error('not asked')) }), null)
      assert.equal(isProcessAlive(process.pid), true)
    }))

  test('leads to the service when it answers as one', () =>
    inTempFolder(async (folder) => {
      writeServiceAddress(folder, addressIn(folder))
      const found = await findService(folder, { timeoutMs: 100, fetch: answering(200, { ok: true, version: '1' }) })
      assert.equal(found?.address.command, 'run')
      assert.equal(await findService(folder, { timeoutMs: 100, fetch: answering(200, 'hello') }), null)
      const refused = new TypeError('fetch failed', { cause: Object.assign(new Error('no'), { code: 'ECONNREFUSED' }) })
      assert.equal(await findService(folder, { timeoutMs: 100, fetch: failing(refused) }), null)
    }))

  test('of a service that hangs is told, rather than opening the files beside it', () =>
    inTempFolder(async (folder) => {
      writeServiceAddress(folder, addressIn(folder))
      const late = failing(new DOMException('late', 'TimeoutError'))
      await assert.rejects(findService(folder, { timeoutMs: 100, fetch: late }), { code: 'TIMEOUT' })
    }))
})

describe('a call to the service', () => {
  test('carries the token where it is needed, and the body as JSON', () =>
    inTempFolder(async (folder) => {
      const seen: Seen[] = []
      const client = createServiceClient(addressIn(folder), {
        timeoutMs: 100,
        fetch: answering(200, { rows: [] }, seen),
      })
      assert.deepEqual(await client.post('/v1/query', { sql: 'SELECT 1' }), { rows: [] })
      await client.postLines('/v1/transactions', [{ a: 1 }, { a: 2 }])
      await client.get('/healthz')
      assert.equal(seen[0]!.url, 'http://127.0.0.1:1/v1/query')
      assert.deepEqual(seen[0]!.init.headers, {
        authorization: 'Bearer secret-token',
        'content-type': 'application/json',
      })
      assert.equal(seen[1]!.init.body, '{"a":1}\n{"a":2}\n')
      assert.deepEqual(seen[2]!.init.headers, {})
    }))

  test('that is refused ends with what the service said', () =>
    inTempFolder(async (folder) => {
      const said = { code: 'MODEL_NOT_FOUND', message: 'no such version', where: 'x', fix: 'List them.' }
      const client = createServiceClient(addressIn(folder), { timeoutMs: 100, fetch: answering(404, said) })
      await assert.rejects(client.post('/v1/models/promote', {}), said)
    }))

  test('with an answer that is not ours gets a code from the status', () =>
    inTempFolder(async (folder) => {
      for (const [status, code] of [
        [401, 'FORBIDDEN'],
        [404, 'NOT_AVAILABLE'],
        [422, 'INPUT_INVALID'],
        [429, 'SERVICE_UNREACHABLE'],
        [500, 'SERVICE_UNREACHABLE'],
      ] as const) {
        const client = createServiceClient(addressIn(folder), { timeoutMs: 100, fetch: answering(status, '<html>') })
        await assert.rejects(client.get('/v1/live'), { code })
      }
    }))

  test('that cannot be made says so with the address', () =>
    inTempFolder(async (folder) => {
      const reset = new TypeError('fetch failed', { cause: new Error('socket hang up') })
      const client = createServiceClient(addressIn(folder), { timeoutMs: 100, fetch: failing(reset) })
      await assert.rejects(client.get('/v1/live'), { code: 'SERVICE_UNREACHABLE', message: /socket hang up/ })
      const lost = createServiceClient({ ...addressIn(folder), tokenFile: join(folder, 'none') }, { timeoutMs: 100 })
      await assert.rejects(lost.get('/v1/live'), { code: 'FORBIDDEN' })
    }))
})
