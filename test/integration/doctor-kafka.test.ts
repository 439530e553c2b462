import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { featureSpecOf } from '#cli/feature-spec.ts'
import { createProgram } from '#cli/program.ts'
import { CheckpointWriter } from '#infra/checkpoint.ts'
import type { KafkaClient } from '#infra/kafka/client.ts'
import type { KafkaLog } from '#infra/log/kafka-log.ts'
import { StateMemory } from '#infra/state-memory.ts'
import { loadTokenKey } from '#infra/tokenizer.ts'
import { layoutOf } from '#models/features/layout.ts'
import { defaultConfig } from '#schemas/config.ts'
import type { Control } from '#schemas/journal.ts'
import { fakeIo } from '#test/support/fake-io.ts'
import { type RunningKafka, startKafka } from '#test/support/kafka-broker.ts'
import { deleteRecords, kafkaClientOf, openLog } from '#test/support/kafka-client.ts'
import { prepareKafka } from '#test/support/kafka-home.ts'
import { skipWithout } from '#test/support/optional-tool.ts'
import { newTempFolder } from '#test/support/temp-folder.ts'
import { testCodec } from '#test/support/transactions.ts'

const home = await prepareKafka()
const codec = testCodec()

interface Told {
  readonly exitCode: number
  readonly checks: ReadonlyMap<string, { readonly status: string; readonly detail: string; readonly fix: string }>
}

describe('weir doctor on a Kafka cluster', { skip: skipWithout(home) }, () => {
  let kafka: RunningKafka
  let client: KafkaClient
  let log: KafkaLog
  let folder: ReturnType<typeof newTempFolder>
  let line = 0

  before(async () => {
    kafka = await startKafka(home.tool!)
    client = await kafkaClientOf(kafka.brokers)
    folder = newTempFolder()
  })
  after(async () => {
    await log?.close()
    await kafka.close()
    folder.remove()
  })

  async function weir(...argv: string[]): Promise<{ readonly exitCode: number; readonly stdout: string }> {
    const io = fakeIo({ folder: folder.path, now: () => Date.now() })
    let exitCode = 0
    const settings = ['log.home=kafka', `kafka.brokers=${kafka.brokers.join(',')}`, 'kafka.heartbeatMs=100']
    const flags = settings.flatMap((setting) => ['--set', setting])
    const program = createProgram(io, (code) => (exitCode = code))
    await program.parseAsync([...argv, '--json', '--quiet', '--data', folder.path, ...flags], { from: 'user' })
    return { exitCode, stdout: io.stdout() }
  }

  async function doctor(): Promise<Told> {
    const { exitCode, stdout } = await weir('doctor')
    const { checks } = JSON.parse(stdout) as {
      checks: { name: string; status: string; detail: string; fix: string }[]
    }
    return { exitCode, checks: new Map(checks.map(({ name, ...finding }) => [name, finding])) }
  }

  async function addLine(control: Control | null): Promise<void> {
    const value = codec.journalLine.encode({ line, term: 1, clock: Date.now(), pieces: [], control, alerts: 0 })
    line++
    await log.append([{ topic: 'journal', partition: 0, key: null, value }])
  }

  async function writeCheckpoint(journalOffset: number): Promise<void> {
    const writer = new CheckpointWriter({ folder: join(folder.path, 'checkpoints'), keep: 2 })
    const { specHash } = layoutOf(featureSpecOf(defaultConfig(folder.path)))
    const positions = [{ topic: 'journal', partition: 0, offset: journalOffset }]
    writer.begin(
      { line, term: 1, clock: Date.now(), specHash, positions, extra: null },
      new StateMemory().beginSnapshot(),
    )
    await writer.finishNow()
  }

  test('names the topics that are missing', async () => {
    const { exitCode, checks } = await doctor()
    assert.equal(exitCode, 1)
    assert.equal(checks.get('brokers')?.status, 'ok')
    assert.match(
      checks.get('brokers')!.detail,
      /^1 broker \(127\.0\.0\.1:\d+\), Kafka 4\.\d or later; plain text, no login$/,
    )
    assert.equal(checks.get('topics')?.status, 'fail')
    assert.match(checks.get('topics')!.detail, /journal is missing/)
    assert.match(checks.get('topics')!.fix, /weir topics create/)
  })

  test('sees who fell silent, and that this machine lacks the token key that the journal was begun with', async () => {
    await weir('topics', 'create')
    log = await openLog(client)
    await addLine({ type: 'term', value: JSON.stringify({ term: 1, owner: 'other:/data' }), sha256: '' })
    await addLine(null)
    const { checks } = await doctor()
    assert.equal(checks.get('topics')?.status, 'ok')
    assert.equal(checks.get('positions')?.status, 'ok')
    assert.match(checks.get('role')!.detail, /other:\/data took term 1 and is silent; its last line, 1, is/)
    assert.equal(checks.get('token key')?.status, 'fail')
  })

  test('hears the active process, and compares clocks', async () => {
    loadTokenKey(join(folder.path, 'token.key'))
    await writeCheckpoint(2)
    const stop = new AbortController()
    const beating = (async () => {
      while (!stop.signal.aborted) await addLine(null)
    })()
    const { checks } = await doctor()
    stop.abort()
    await beating
    assert.match(checks.get('role')!.detail, /other:\/data is active in term 1/)
    assert.match(checks.get('clock')!.detail, /agrees with that of the active process/)
    assert.match(checks.get('positions')!.detail, /the log reaches behind all 1 checkpoints/)
    assert.equal(checks.get('token key')?.status, 'ok')
  })

  test('says when retention has passed the checkpoint', async () => {
    await deleteRecords(client, 'journal', 4)
    const { exitCode, checks } = await doctor()
    assert.equal(exitCode, 1)
    assert.equal(checks.get('positions')?.status, 'fail')
    assert.match(checks.get('positions')!.detail, /goes on at offset 2 of journal\/0, which begins at 4/)
  })

  test('reports brokers that do not answer once, and what it could not look at', async () => {
    await kafka.kill(0)
    const { exitCode, checks } = await doctor()
    assert.equal(exitCode, 1)
    assert.equal(checks.get('brokers')?.status, 'fail')
    for (const name of ['topics', 'positions', 'role']) {
      assert.match(checks.get(name)!.detail, /not looked at/)
    }
    assert.equal(checks.get('token key')?.status, 'ok', 'a file is looked at all the same')
  })
})
