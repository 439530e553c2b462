import assert from 'node:assert/strict'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { createKafkaClient, type KafkaConfig } from '#infra/kafka/client.ts'
import type { KafkaSasl, KafkaTls } from '#infra/kafka/security.ts'
import { createLogger } from '#infra/logger.ts'
import { type RunningKafka, startKafka } from '#test/support/kafka-broker.ts'
import { adminOf, openLog, planOf } from '#test/support/kafka-client.ts'
import { prepareKafka } from '#test/support/kafka-home.ts'
import { skipWithout } from '#test/support/optional-tool.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'

const home = await prepareKafka()
const PASSWORD = 'open-sesame-4711'
const user = { name: 'weir', password: PASSWORD }

describe('Kafka with TLS and passwords', { skip: skipWithout(home) }, () => {
  let kafka: RunningKafka
  let tls: KafkaTls
  let topics = 0
  const folder = newTempFolder()
  const lines: string[] = []
  const logger = createLogger({ level: 'trace', isForPeople: false, write: (line) => void lines.push(line) })

  before(async () => {
    kafka = await startKafka(home.tool!, { user })
    tls = { caFile: kafka.caFile, certFile: '', keyFile: '', keyPassword: '', servername: '' }
  })
  after(async () => {
    await kafka.close()
    folder.remove()
  })

  const configOf = (over: Partial<KafkaConfig>): KafkaConfig => ({
    brokers: kafka.secureBrokers,
    clientId: 'weir-test',
    tls,
    sasl: scram(PASSWORD),
    connectTimeoutMs: 2_000,
    requestTimeoutMs: 5_000,
    ...over,
  })

  const scram = (password: string): KafkaSasl => ({
    mechanism: 'scram-sha-512',
    username: user.name,
    password,
    passwordFile: '',
  })

  async function writeAndRead(config: KafkaConfig): Promise<void> {
    const client = await createKafkaClient({ config, logger })
    const admin = adminOf(client)
    const topic = `secure-${++topics}`
    await admin.createTopics([planOf(topic)])
    const log = await openLog(client, { logger })
    await log.append([{ topic, partition: 0, key: null, value: Buffer.from('x'.repeat(300_000)) }])
    const [record] = await log.reader({ topic, partition: 0, offset: 0 }).read(1)
    assert.equal(record!.value!.length, 300_000)
    await log.close()
    await admin.close()
  }

  async function refusal(config: Partial<KafkaConfig>): Promise<void> {
    const client = await createKafkaClient({ config: configOf(config), logger })
    await openLog(client, { logger, tuning: { openWithinMs: 1_000 } })
  }

  for (const mechanism of ['scram-sha-512', 'scram-sha-256', 'plain'] as const) {
    test(`${mechanism} over TLS, with the password in a file`, async () => {
      const passwordFile = join(folder.path, 'password')
      writeFileSync(passwordFile, `${PASSWORD}\n`)
      const sasl: KafkaSasl = { mechanism, username: user.name, password: '', passwordFile }
      await writeAndRead(configOf({ sasl }))
    })
  }

  test('a bearer token is read anew at every authentication', async () => {
    const tokenFile = join(folder.path, 'token')
    const sasl: KafkaSasl = { mechanism: 'oauthbearer', tokenFile }
    writeFileSync(tokenFile, tokenOf(-60))
    const client = await createKafkaClient({ config: configOf({ sasl }), logger })
    await assert.rejects(openLog(client, { logger }), { code: 'FORBIDDEN' })
    writeFileSync(tokenFile, tokenOf(600))
    const log = await openLog(client, { logger })
    await log.close()
    await writeAndRead(configOf({ sasl }))
  })

  test('a wrong password, a missing one and an authority that is not trusted are told apart at once', async () => {
    await assert.rejects(refusal({ sasl: scram('wrong-4712') }), { code: 'FORBIDDEN', fix: /kafka.sasl/ })
    const untrusted = { ...tls, caFile: '' }
    await assert.rejects(refusal({ tls: untrusted }), { code: 'CONFIG_INVALID', fix: /kafka.tls/ })
    const elsewhere = { ...tls, servername: 'another.example' }
    await assert.rejects(refusal({ tls: elsewhere }), { code: 'CONFIG_INVALID', message: /ALTNAME/ })
    await assert.rejects(refusal({ tls: null, sasl: null }), { code: 'SERVICE_UNREACHABLE', fix: /plain text or TLS/ })
  })

  test('no password stands in any line or error', async () => {
    const told = lines.join('')
    assert.ok(told.length > 0)
    for (const secret of [PASSWORD, 'wrong-4712', 'eyJhbGciOiJub25lIn0']) assert.ok(!told.includes(secret))
    try {
      await refusal({ sasl: scram('wrong-4712') })
      assert.fail('it must not be let in')
    } catch (error) {
      for (let at: unknown = error; at instanceof Error; at = at.cause) {
        assert.ok(!`${at.message} ${at.stack} ${JSON.stringify(at)}`.includes('wrong-4712'))
      }
    }
  })
})

/** An unsigned token, which brokers take unless they are set up for signed ones. */
function tokenOf(validForS: number): string {
  const nowS = Math.floor(Date.now() / 1_000)
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part({ sub: 'weir', iat: nowS - 120, exp: nowS + validForS })}.`
}
