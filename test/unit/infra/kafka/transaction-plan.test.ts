import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { recordBytesMax } from '#infra/kafka/record-batch-writer.ts'
import { planTransaction } from '#infra/kafka/transaction-plan.ts'

const record = fc.record({
  topic: fc.constantFrom('a', 'b'),
  partition: fc.integer({ min: 0, max: 2 }),
  key: fc.constant(null),
  value: fc.uint8Array({ maxLength: 100 }),
})

test('batches hold every record once, in order, within their size; offsets follow the order of the call', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 600 }),
      async (records, max) => {
        const plan = await planTransaction(records, max, 'none')
        const ends = new Map<string, number>()
        const firstOffsets = plan.rounds.map((round) => {
          assert.equal(new Set(round.map(({ topic, partition }) => `${topic}/${partition}`)).size, round.length)
          return round.map(({ topic, partition, packed }) => {
            const first = ends.get(`${topic}/${partition}`) ?? 100
            ends.set(`${topic}/${partition}`, first + packed.count)
            return first
          })
        })
        const next = new Map<string, number>()
        const expected = records.map(({ topic, partition }) => {
          const offset = next.get(`${topic}/${partition}`) ?? 100
          next.set(`${topic}/${partition}`, offset + 1)
          return offset
        })
        assert.deepEqual(plan.offsetsOf(firstOffsets), expected)
        for (const { packed } of plan.rounds.flat()) {
          if (packed.count > 1) assert.ok(packed.bytes.length <= max + 61)
        }
        const total = plan.rounds.flat().reduce((sum, { packed }) => sum + packed.count, 0)
        assert.equal(total, records.length)
        assert.ok(records.every((r) => recordBytesMax(r) > r.value.length))
      },
    ),
    { numRuns: 60 },
  )
})
