import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { openEmbeddedStore } from '#infra/clickhouse/embedded-store.ts'
import { wallClock } from '#infra/clock.ts'
import { openFileLog } from '#infra/log/file-log.ts'
import type { Log } from '#infra/log/log.ts'
import { TEXT_FIELDS } from '#schemas/transaction.ts'
import { type Answer, type Ended, RunningService, WEIR, weir } from '#test/support/running-service.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'
import { labelOf, testCodec, transactionOf } from '#test/support/transactions.ts'

/** A Visa number of the kind that is printed in examples; nobody's card. */
const PAN = '4111111111111111'
const WRITTEN = [PAN, '4111 1111 1111 1111', '4111-1111-1111-1111', `12 ${PAN}`, `card=${PAN};`]
/** Passes the check digit, but belongs to no issuer. */
const MERCHANT = '9999999999999995'
/** Any way of writing it, as bytes of a file or text of an answer. */
const LEAK = /4111[ -]?1111[ -]?1111[ -]?1111/
const EVENT_TIME = Date.UTC(2025, 2, 3, 10)

type Json = Readonly<Record<string, unknown>>

describe('a card number in the clear', () => {
  const folder = newTempFolder()
  const data = join(folder.path, 'data')
  const codec = testCodec()
  const ended: Ended[] = []
  const answers: Answer[] = []
  let nextId = 0
  let service: RunningService | undefined

  const baseOf = (): Json => ({
    ...transactionOf({ transaction_id: `t${nextId}`, event_time: EVENT_TIME + nextId++, merchant_id: MERCHANT }),
  })
  const labelBase = (): Json => ({ ...labelOf({ transaction_id: `t${nextId}`, event_time: EVENT_TIME + nextId++ }) })

  /** Everything that was said so far. */
  const said = (): string =>
    [...ended.map(({ stdout, stderr }) => stdout + stderr), ...answers.map(({ text }) => text)].join('\n')

  before(async () => {
    assert.ok(existsSync(WEIR), 'build first: npm run build')
    mkdirSync(data)
    writeFileSync(
      join(data, 'lists.yaml'),
      `entries:\n  - { list: block, field: card_id, value: "${PAN}", reason: "stolen ${PAN}" }\n`,
    )
    writeFileSync(join(folder.path, 'rules.yaml'), rulesOf(`terminal_id == "${PAN}"`))
    await plantInTheLog()
    await plantInTheService()
    await plantInFilesAndArguments()
  })

  after(async () => {
    await service?.process.kill('SIGKILL')
    folder.remove()
  })

  /** Records that others write, before the service starts: what Weir makes of them holds none. */
  async function plantInTheLog(): Promise<void> {
    const log = await openLog()
    const broken = Buffer.from(`{"transaction_id":"x","card_id":"${PAN}"`)
    const wrongType = Buffer.from(JSON.stringify({ ...baseOf(), card_id: PAN, amount: PAN }))
    const readable = codec.transaction.encode(
      transactionOf({ transaction_id: 'from-log', event_time: EVENT_TIME, card_id: PAN }),
    )
    await log.append(
      [broken, wrongType, readable].map((value) => ({ topic: 'transactions', partition: 0, key: null, value })),
    )
    await log.close()
  }

  async function plantInTheService(): Promise<void> {
    service = await RunningService.start(data, [
      `rules.file=${join(folder.path, 'rules.yaml')}`,
      'recorder.intervalMs=100',
    ])
    const running = service
    const post = async (path: string, body: unknown): Promise<Answer> => {
      const answer = await running.post(path, body)
      answers.push(answer)
      return answer
    }
    for (const written of WRITTEN) {
      for (const field of TEXT_FIELDS) await post('/v1/score', { ...baseOf(), [field]: written })
      await post('/v1/score', { ...baseOf(), attributes: { note: written, [written]: 'x' }, signals: { [written]: 1 } })
      for (const field of ['transaction_id', 'card_id', 'merchant_id']) {
        await post('/v1/labels', { ...labelBase(), [field]: written })
      }
    }
    // The same number, written in another way, is the same token: as an id, it was used before.
    assert.ok(answers.every(({ status }) => [200, 409, 422].includes(status)))
    const taken = answers.filter(({ status }) => status === 200)
    assert.ok(taken.length > WRITTEN.length * TEXT_FIELDS.length * 0.9, 'most of these are good transactions')

    const everyField = Object.keys(baseOf())
    for (const field of everyField) {
      for (const value of [Number(PAN), [PAN], { [PAN]: PAN }, PAN]) {
        await post('/v1/score', { ...baseOf(), [field]: value })
        await post('/v1/transactions', [{ ...baseOf(), [field]: value }])
      }
    }
    for (const field of Object.keys(labelBase())) {
      for (const value of [Number(PAN), [PAN], PAN]) await post('/v1/labels', { ...labelBase(), [field]: value })
    }
    await post('/v1/score', { ...baseOf(), signals: { number: Number(PAN) } })
    await post('/v1/score', { ...baseOf(), [PAN]: 1 })
    await post('/v1/score', `{"card_id":"${PAN}"`)
    await post('/v1/score', `{"card_id":${PAN}}${PAN}`)
    await post('/v1/score', `"${PAN}"`)
    answers.push(await running.send('POST', '/v1/transactions', `{"card_id":"${PAN}"\n${PAN}`, 'application/x-ndjson'))
    answers.push(await running.send('POST', '/v1/transactions', PAN, `text/${PAN}`))
    answers.push(await running.get(`/v1/${PAN}`))
    for (const body of [
      { sql: `SELECT '${PAN}' FROM` },
      { sql: `SELECT throwIf(1, '${PAN}')` },
      { sql: `SELECT toInt8('x${PAN}')` },
      { sql: `SELECT * FROM weir.t${PAN}` },
      { name: PAN },
      { name: 'card_history', params: { [PAN]: PAN } },
      { [PAN]: PAN },
    ]) {
      const { status } = await post('/v1/query', body)
      assert.ok(status >= 400, JSON.stringify(body))
    }
    await post('/v1/models/promote', { version: PAN })
    writeFileSync(join(folder.path, 'rules.yaml'), rulesOf(`nonsense == "${PAN}" and ${PAN}`))
    assert.equal((await post('/v1/rules/reload', undefined)).status, 422)
    answers.push(await running.get('/v1/models'), await running.get('/metrics'))
    const blocked = await post('/v1/score', { ...baseOf(), card_id: PAN })
    assert.deepEqual(
      (blocked.json as { list_hits: string[] }).list_hits,
      ['block:card_id'],
      'a listed card is still found',
    )
    ended.push(await running.stop())
  }

  async function plantInFilesAndArguments(): Promise<void> {
    const file = (name: string, text: string): string => {
      writeFileSync(join(folder.path, name), text)
      return join(folder.path, name)
    }
    const broken = file('rules-broken.yaml', rulesOf(`amount > "${PAN}" nonsense`))
    const spec = file('spec.json', JSON.stringify({ name: PAN, [PAN]: [PAN] }))
    const lists = file('lists-broken.yaml', `entries:\n  - { list: "${PAN}", field: "${PAN}", value: ${PAN} }\n`)
    const config = file('weir-broken.yaml', `api:\n  port: ${PAN}\n  host${PAN}: x\n${PAN}: x\n`)
    const input = file('in.jsonl', `${JSON.stringify({ ...baseOf(), amount: PAN })}\n`)
    const unreadable = file('in-broken.jsonl', `{"card_id":"${PAN}"\n`)
    const csv = file(
      'in.csv',
      `transaction_id,event_time,card_id,amount,currency,${PAN}\nx,y${PAN},${PAN},${PAN},${PAN},1\n`,
    )
    const other = join(folder.path, 'other')
    const refused = [
      ['run', '--port', '0', '--data', other, '--rules', broken],
      ['run', '--port', '0', '--data', other, '--spec', spec],
      ['run', '--port', '0', '--data', other, '--set', `lists.file=${lists}`],
      ['doctor', '--config', config],
      ['score', input],
      ['score', unreadable],
      ['score', csv],
      ['score', `${PAN}.jsonl`],
      ['score', unreadable, '--model', PAN],
      ['query', PAN, '--data', other],
      ['query', '--data', other, '--sql', `SELECT '${PAN}' FROM`],
      ['models', 'promote', PAN, '--data', other],
      ['run', '--set', `api.port=${PAN}`],
      ['run', `--${PAN}`],
      [PAN],
    ]
    for (const argv of refused) {
      for (const json of [[], ['--json']]) {
        const result = await weir([...argv, ...json], { cwd: folder.path })
        assert.notEqual(result.exitCode, 0, argv.join(' '))
        assert.notEqual(result.exitCode, 70, `${argv.join(' ')}: ${result.stderr}${result.stdout}`)
        ended.push(result)
      }
    }
    const scored = await weir(['score', '-'], {
      input: `${JSON.stringify({ ...baseOf(), card_id: PAN })}\n`,
      cwd: folder.path,
    })
    assert.equal(scored.exitCode, 0, scored.stderr)
    ended.push(scored)
  }

  function openLog(): Promise<Log> {
    return openFileLog({
      folder: join(data, 'log'),
      segmentBytesMax: 268_435_456,
      retentionMs: 1e12,
      clock: wallClock,
    })
  }

  test('is in no answer, on no stdout and on no stderr', () => {
    const at = LEAK.exec(said())
    assert.equal(at, null, at === null ? '' : said().slice(Math.max(0, at.index - 300), at.index + 100))
  })

  test('is in no file that Weir wrote', async () => {
    const planted = await plantedBytes()
    for (const name of filesIn(data)) {
      if (name === join(data, 'lists.yaml')) continue
      let text = readFileSync(name).toString('latin1')
      // What somebody else has put into the log stays as they wrote it; the rest of these files is Weir's.
      for (const bytes of planted) text = text.replaceAll(bytes, '')
      const at = LEAK.exec(text)
      assert.equal(at, null, at === null ? '' : `${name}: ${JSON.stringify(text.slice(at.index - 200, at.index + 40))}`)
    }
  })

  test('is in no column of any table', async () => {
    const store = await openEmbeddedStore(join(data, 'clickhouse'))
    try {
      const { rows: tables } = await store.query(
        "SELECT name FROM system.tables WHERE database = 'weir' AND engine LIKE '%MergeTree' ORDER BY name",
      )
      assert.ok(tables.length >= 4)
      for (const { name } of tables) {
        const { rows } = await store.query(`SELECT * FROM weir.${String(name)}`)
        assert.doesNotMatch(JSON.stringify(rows), LEAK, String(name))
        if (name === 'dead_letters') assert.ok(rows.length > 2)
        if (name !== 'scored_transactions') continue
        assert.ok(rows.length > WRITTEN.length * TEXT_FIELDS.length * 0.9)
        const merchants = rows.filter(({ merchant_id }) => merchant_id === MERCHANT)
        assert.ok(
          merchants.length > rows.length * 0.8,
          'a merchant id that merely passes the check digit is left alone',
        )
        assert.ok(rows.some(({ card_id }) => /^tk_[\w-]{22}$/.test(String(card_id))))
      }
    } finally {
      await store.close()
    }
  })

  /** The records of `plantInTheLog`, as they stand in the file. */
  async function plantedBytes(): Promise<string[]> {
    const log = await openLog()
    const records = await log.reader({ topic: 'transactions', partition: 0, offset: 0 }).read(100)
    await log.close()
    assert.equal(records.length, 3)
    return records.map(({ value }) => value!.toString('latin1'))
  }
})

const rulesOf = (condition: string): string => `version: 1
rules:
  - id: planted
    when: ${condition}
    action: review
    reason: PLANTED
    text: "seen ${PAN}"
    owner: "${PAN}"
`

function filesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}
