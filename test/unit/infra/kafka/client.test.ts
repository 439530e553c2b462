import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createKafkaClient, type KafkaConfig } from '#infra/kafka/client.ts'
import { readSasl, readTls } from '#infra/kafka/security.ts'
import { createLogger } from '#infra/logger.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

const CONFIG: KafkaConfig = {
  brokers: ['127.0.0.1:9'],
  clientId: 'weir-test',
  tls: null,
  sasl: null,
  connectTimeoutMs: 100,
  requestTimeoutMs: 100,
}
const NO_TLS = { caFile: '', certFile: '', keyFile: '', keyPassword: '', servername: '' }

function collectingLogger() {
  const lines: Record<string, unknown>[] = []
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>)
  return { lines, logger: createLogger({ level: 'trace', isForPeople: false, write }) }
}

test('an address that cannot be one is named before anything is connected to', async () => {
  const { logger } = collectingLogger()
  for (const brokers of [
    [],
    ['kafka'],
    ['kafka:0'],
    ['kafka:70000'],
    ['http://kafka:9092'],
    ['::1:9092'],
    ['a:1', 'b c:2'],
  ]) {
    await assert.rejects(createKafkaClient({ config: { ...CONFIG, brokers }, logger }), {
      code: 'CONFIG_INVALID',
      where: 'kafka.brokers',
    })
  }
})

test('what kafkajs calls errors is told at the lowest level, and of it nothing but sentence and address', async () => {
  const { lines, logger } = collectingLogger()
  const client = await createKafkaClient({ config: CONFIG, logger })
  const connection = client.createConnection([])
  await assert.rejects(connection.refresh())
  await connection.close()
  assert.ok(lines.length > 0)
  assert.deepEqual([...new Set(lines.map(({ level }) => level))], ['debug'])
  const fields = new Set(lines.flatMap((line) => Object.keys(line)))
  assert.deepEqual([...fields].sort(), ['broker', 'level', 'msg', 'part', 'time'])
})

test('files of keys and secrets that cannot be used are named, and what is in them is not told', async () => {
  await inTempFolder(async (folder) => {
    const file = join(folder, 'secret')
    writeFileSync(file, 'not-a-key-4711')
    const missing = join(folder, 'missing')
    const refused = [
      () => readTls({ ...NO_TLS, caFile: missing }),
      () => readTls({ ...NO_TLS, certFile: file, keyFile: file }),
      () => readSasl({ mechanism: 'oauthbearer', tokenFile: missing }),
      () => readSasl({ mechanism: 'plain', username: 'weir', password: '', passwordFile: missing }),
      () => readSasl({ mechanism: 'scram-sha-512', username: 'weir', password: '', passwordFile: '' }),
      () => readSasl({ mechanism: 'scram-sha-512', username: '', password: 'not-a-key-4711', passwordFile: '' }),
    ]
    for (const read of refused) {
      await assert.rejects(read, (error: Error) => {
        assert.equal((error as { readonly code?: string }).code, 'CONFIG_INVALID')
        assert.ok(!`${error.message}${JSON.stringify(error)}${String(error.cause)}`.includes('4711'))
        return true
      })
    }
    writeFileSync(file, '')
    await assert.rejects(readSasl({ mechanism: 'oauthbearer', tokenFile: file }), { message: /is empty/, where: file })
  })
})
