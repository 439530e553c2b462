import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type JournalTail, readJournalTail } from '#cli/doctor/journal-tail.ts'
import { createMemoryLog } from '#infra/log/memory-log.ts'
import type { Log } from '#infra/log/log.ts'
import type { Control } from '#schemas/journal.ts'
import { testCodec } from '#test/support/transactions.ts'

const codec = testCodec()
const TOPIC = 'journal'

/** Appends lines as processes with these owners wrote them; null: the term before is given up. */
class Journal {
  readonly log: Log = createMemoryLog({ gapAfterUnit: 1 })
  private line = 0
  private term = 0

  async take(owner: string): Promise<void> {
    this.term++
    await this.add({ type: 'term', value: JSON.stringify({ term: this.term, owner }), sha256: '' })
  }

  async giveUp(): Promise<void> {
    await this.add({ type: 'term', value: JSON.stringify({ term: this.term, owner: null }), sha256: '' })
  }

  async beat(times: number): Promise<void> {
    for (let i = 0; i < times; i++) await this.add(null)
  }

  read(): Promise<JournalTail | null> {
    return readJournalTail({ log: this.log, codec, topic: TOPIC, now: () => 10_000, listenMs: 1 })
  }

  private async add(control: Control | null): Promise<void> {
    const line = { line: this.line, term: this.term, clock: this.line, pieces: [], control, alerts: 0 }
    this.line++
    const value = codec.journalLine.encode(line)
    await this.log.append([{ topic: TOPIC, partition: 0, key: null, value }])
  }
}

describe("the journal's tail", () => {
  test('is nothing where nothing was decided', async () => {
    assert.equal(await new Journal().read(), null)
  })

  test('names who took the newest term, however long ago', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(30), { minLength: 1, maxLength: 6 }), async (terms) => {
        const journal = new Journal()
        for (const [i, beats] of terms.entries()) {
          await journal.take(`p${i}`)
          await journal.beat(beats * 7)
        }
        const tail = await journal.read()
        assert.equal(tail?.owner, `p${terms.length - 1}`)
        assert.equal(tail.term, terms.length)
        assert.equal(
          tail.line,
          terms.reduce((sum, beats) => sum + beats * 7 + 1, -1),
        )
        assert.equal(tail.isAlive, false)
      }),
      { numRuns: 20 },
    )
  })

  test('says when the term was given up', async () => {
    const journal = new Journal()
    await journal.take('a')
    await journal.beat(3)
    await journal.giveUp()
    assert.equal((await journal.read())?.owner, null)
  })

  test('knows that retention took the line that names the owner', async () => {
    const journal = new Journal()
    await journal.take('a')
    await journal.beat(5)
    await journal.log.retain([{ topic: TOPIC, partition: 0, offset: 4 }])
    assert.equal((await journal.read())?.owner, 'an unknown process')
  })

  test('hears the next line, and compares its clock with its own', async () => {
    const journal = new Journal()
    await journal.take('a')
    const log: Log = {
      ...journal.log,
      async changed(since, signal) {
        await journal.beat(1)
        return await journal.log.changed(since, signal)
      },
    }
    const tail = await readJournalTail({ log, codec, topic: TOPIC, now: () => 10_000, listenMs: 60_000 })
    assert.deepEqual(
      { line: tail?.line, owner: tail?.owner, isAlive: tail?.isAlive, aheadMs: tail?.clockAheadMs },
      { line: 1, owner: 'a', isAlive: true, aheadMs: 9_999 },
    )
  })
})
