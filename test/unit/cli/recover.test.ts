import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recover } from '#cli/recover.ts'
import { CheckpointWriter } from '#infra/checkpoint.ts'
import { dataPaths } from '#infra/data-folder.ts'
import { Positions } from '#pipeline/journal.ts'
import { SliceBuffers } from '#pipeline/slice.ts'
import { DEFAULT_TOPICS as TOPICS } from '#pipeline/topics.ts'
import { defaultConfig } from '#schemas/config.ts'
import type { ControlType } from '#schemas/journal.ts'
import { createMemoryPath, NOW_MS } from '#test/support/memory-path.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'
import { labelOf, testCodec, transactionOf } from '#test/support/transactions.ts'

const codec = testCodec()
const RULES = `
version: 1
rules:
  - { id: any, when: "amount > 1", action: review, reason: ANY, text: "any", owner: test }
`

function hit(id: string, card: string): { topic: string; value: Buffer } {
  const fields = { transaction_id: id, card_id: card, event_time: NOW_MS - 60_000 }
  return { topic: TOPICS.transactions, value: codec.transaction.encode(transactionOf(fields)) }
}

function verdictOn(id: string, card: string): { topic: string; value: Buffer } {
  const times = { event_time: NOW_MS - 60_000, known_at: NOW_MS - 30_000 }
  const label = labelOf({ transaction_id: id, card_id: card, source: 'verdict', ...times })
  return { topic: TOPICS.labels, value: codec.label.encode(label) }
}

test('after a restart an alert that was judged is closed, and one that was not is open', async () => {
  const live = createMemoryPath()
  const running = live.run()
  await live.engine.control('rules', { text: RULES, file: 'rules.yaml' })
  const batches = [
    [hit('t1', 'judged'), hit('t2', 'open')],
    [verdictOn('t1', 'judged')],
    [hit('t3', 'open'), hit('t4', 'again')],
    [verdictOn('t4', 'again')],
    [hit('t5', 'again')],
  ]
  for (const batch of batches) {
    await Promise.all(
      batch.map(({ topic, value }) => {
        return new Promise((settle, fail) => {
          assert.ok(live.intake.push({ topic, key: '', value, waiter: { settle, fail } }))
        })
      }),
    )
  }
  const alerts = (await live.records(TOPICS.alerts, 4)).map(({ value }) => codec.alert.decode(value!))
  const opened = alerts.filter((alert) => alert.open_alert_id === alert.alert_id)
  assert.deepEqual(
    opened.map(({ card_id }) => card_id),
    ['judged', 'open', 'again', 'again'],
  )
  await running.stop()

  await inTempFolder(async (folder) => {
    const config = defaultConfig(folder)
    const { runtime } = createMemoryPath()
    const slice = new SliceBuffers(64, runtime.layout)
    await recover({ config, paths: dataPaths(config), log: live.log, runtime, positions: new Positions(), slice })
    assert.deepEqual(runtime.book.snapshot(), live.runtime.book.snapshot())
    const { open } = runtime.book.snapshot() as { open: readonly [string, unknown][] }
    assert.deepEqual(open.map(([card]) => card).sort(), ['again', 'open'])
    await runtime.close()
  })
  await live.runtime.close()
})

test('checkpoints that reach further than the journal are of another journal, and nothing is begun with this one', async () => {
  await inTempFolder(async (folder) => {
    const config = defaultConfig(folder)
    const paths = dataPaths(config)
    const { log, runtime } = createMemoryPath()
    const slice = new SliceBuffers(64, runtime.layout)
    const write = async (line: number, specHash: string): Promise<void> => {
      const writer = new CheckpointWriter({ folder: paths.checkpoints, keep: 2 })
      const positions = [{ topic: TOPICS.journal, partition: 0, offset: line }]
      const extra = { controls: [], alerts: runtime.book.snapshot() }
      writer.begin({ line, term: 1, clock: 1, specHash, positions, extra }, runtime.memory.beginSnapshot())
      await writer.finishNow()
    }
    const start = () => recover({ config, paths, log, runtime, positions: new Positions(), slice })
    await write(5, 'another spec')
    assert.equal((await start()).nextLine, 0, 'that one says nothing of this journal')
    await write(7, runtime.layout.specHash)
    await assert.rejects(start(), { code: 'LOG_POSITION_GONE', where: `${TOPICS.journal}/0` })
    await runtime.close()
  })
})

test('a model control brings its threshold with it, and a later threshold stays in force', async () => {
  const control = (type: ControlType, value: unknown) => ({ type, value: JSON.stringify(value), sha256: '' })
  const brought = { mode: 'budget', review: 0.4, decline: null }
  const later = { mode: 'budget', review: 0.7, decline: null }

  const { runtime } = createMemoryPath()
  await runtime.apply(control('threshold', { ...brought, review: 0.2 }))
  await runtime.apply(control('model', { version: null, threshold: brought }))
  assert.deepEqual(runtime.threshold, brought)
  assert.equal(runtime.inForce.get('model')?.value, '{"version":null}')

  const { runtime: followed } = createMemoryPath()
  followed.applyWhileFollowing(control('model', { version: null, threshold: brought }))
  await followed.settle()
  assert.deepEqual(followed.threshold, brought)
  followed.applyWhileFollowing(control('model', { version: null, threshold: brought }))
  followed.applyWhileFollowing(control('threshold', later))
  await followed.settle()
  assert.deepEqual(followed.threshold, later)

  await assert.rejects(runtime.apply(control('model', { version: null, threshold: { mode: 'budget', review: 2 } })))
  assert.deepEqual(runtime.threshold, brought)
  await runtime.close()
  await followed.close()
})
