import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { createContext } from '#cli/context.ts'
import { promoteModel, putInCharge, rollbackModel } from '#cli/models.ts'
import { writeServiceAddress } from '#infra/service-address.ts'
import { fakeIo } from '#test/support/fake-io.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

test('the reason for a change goes with it to the running service, by hand and after a retraining', async () => {
  const asked: [string, unknown][] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', () => {
      if (request.method === 'POST') asked.push([request.url!, JSON.parse(body)])
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ version: '0', champion: 'm0' }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    await inTempFolder(async (folder) => {
      const io = fakeIo({ folder })
      const context = createContext(io, { data: 'data', json: true }, [])
      const { dataFolder } = context.config
      mkdirSync(dataFolder)
      const tokenFile = join(dataFolder, 'api.token')
      writeFileSync(tokenFile, 'secret')
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      writeServiceAddress(dataFolder, { pid: process.pid, url, tokenFile, command: 'run', startedAt: 0 })
      await promoteModel(context, 'm1', 'better on January')
      await rollbackModel(context, 'worse on February')
      assert.equal(await putInCharge(context, 'm2', 'retrained'), true)
      assert.deepEqual(asked, [
        ['/v1/models/promote', { version: 'm1', reason: 'better on January' }],
        ['/v1/models/rollback', { reason: 'worse on February' }],
        ['/v1/models/promote', { version: 'm2', reason: 'retrained' }],
      ])
      assert.match(io.stdout(), /"champion":"m0","live":true/)
    })
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})
