import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Block, BlockBuilder, type BlockLimits, blockToken } from '#pipeline/record/blocks.ts'
import type { RecordedTable } from '#pipeline/record/rows.ts'
import type { JournalLine, Piece } from '#schemas/journal.ts'
import { rowBytes } from '#test/support/clickhouse-rows.ts'

interface Step {
  readonly line: JournalLine
  readonly rows: readonly (readonly [RecordedTable, string])[]
}

const PIECE: Piece = { topic: 'transactions', partition: 0, first: 0, last: 0, count: 1, rejected: [], repeated: [] }
const LIMITS = { rowsMax: 4, clockMs: 1_000 }

const TABLES = ['weir.scored_transactions', 'weir.alerts', 'weir.labels', 'weir.control_lines'] as const

const anyLimits: fc.Arbitrary<BlockLimits> = fc.record({
  rowsMax: fc.integer({ min: 1, max: 300 }),
  clockMs: fc.integer({ min: 1, max: 1_000 }),
})
/** A journal: dense lines, a clock that does not go back, some lines without input. */
const anyJournal: fc.Arbitrary<readonly Step[]> = fc
  .array(
    fc.record({
      ticksMs: fc.integer({ min: 0, max: 300 }),
      isEmpty: fc.boolean(),
      rows: fc.array(fc.tuple(fc.constantFrom(...TABLES), fc.string()), { maxLength: 90 }),
    }),
    { maxLength: 30 },
  )
  .map((parts) => {
    let clock = 0
    return parts.map(({ ticksMs, isEmpty, rows }, line) => {
      clock += ticksMs
      return stepOf(line, clock, isEmpty ? [] : rows.map(([table, text]) => [table, `${text}\n`]), isEmpty)
    })
  })

test('blocks follow from the lines alone: started again after any block, the same blocks come', () => {
  fc.assert(
    fc.property(anyLimits, anyJournal, fc.nat(), (limits, journal, at) => {
      const blocks = cut(limits, journal)
      if (blocks.length === 0) return
      const from = at % blocks.length
      const again = cut(limits, journal.slice(blocks[from]!.firstLine))
      assert.deepEqual(again, blocks.slice(from))
    }),
  )
})

test('blocks cover the lines without gap or overlap and hold every row once, in order', () => {
  fc.assert(
    fc.property(anyLimits, anyJournal, (limits, journal) => {
      const blocks = cut(limits, journal)
      let next = 0
      for (const block of blocks) {
        assert.equal(block.firstLine, next)
        assert.ok(block.lastLine >= block.firstLine)
        next = block.lastLine + 1
      }
      const sent = journal.slice(0, next).flatMap(({ rows }) => rows)
      for (const table of TABLES) {
        const expected = sent.filter(([of]) => of === table).map(([, row]) => row)
        const parts = blocks.map((block) => block.tables.get(table)).filter((part) => part !== undefined)
        assert.deepEqual(Buffer.concat(parts.map(({ bytes }) => bytes)), bytesOf(expected))
        assert.equal(
          parts.reduce((sum, { rows }) => sum + rows, 0),
          expected.length,
        )
      }
      assert.equal(
        blocks.reduce((sum, { rows }) => sum + rows, 0),
        sent.length,
      )
    }),
  )
})

test('a block closes at the first line that brings it to its rows, and takes that line whole', () => {
  const builder = new BlockBuilder(LIMITS)
  assert.equal(addStep(builder, stepOf(0, 0, rowsOf(3))), null)
  const block = addStep(builder, stepOf(1, 0, rowsOf(5)))!
  assert.deepEqual([block.firstLine, block.lastLine, block.rows], [0, 1, 8])
  assert.equal(builder.isEmpty, true)
})

test('a block closes when the journal’s clock has moved on far enough since its first line', () => {
  const builder = new BlockBuilder(LIMITS)
  assert.equal(addStep(builder, stepOf(0, 500, rowsOf(1))), null)
  assert.equal(addStep(builder, stepOf(1, 1_499, rowsOf(1))), null)
  const block = addStep(builder, stepOf(2, 1_500, rowsOf(1)))!
  assert.deepEqual([block.firstLine, block.lastLine, block.rows], [0, 2, 3])
  assert.equal(addStep(builder, stepOf(3, 2_000, rowsOf(1))), null)
})

test('a line without input closes a block, and a block of such a line alone has no tables', () => {
  const builder = new BlockBuilder(LIMITS)
  assert.equal(addStep(builder, stepOf(0, 0, rowsOf(1))), null)
  assert.equal(addStep(builder, stepOf(1, 0, [], true))!.lastLine, 1)
  const block = addStep(builder, stepOf(2, 0, [], true))!
  assert.deepEqual([block.firstLine, block.lastLine, block.rows, block.tables.size], [2, 2, 0, 0])
})

test('tokens differ between tables and between blocks', () => {
  const blocks = cut({ rowsMax: 1, clockMs: 1 }, [stepOf(0, 0, rowsOf(1)), stepOf(1, 0, rowsOf(1))])
  const tokens = blocks.flatMap((block) => TABLES.map((table) => blockToken(block, table)))
  assert.equal(blocks.length, 2)
  assert.equal(new Set(tokens).size, tokens.length)
})

function stepOf(
  line: number,
  clock: number,
  rows: readonly (readonly [RecordedTable, string])[],
  isEmpty = false,
): Step {
  return { line: { line, term: 1, clock, pieces: isEmpty ? [] : [PIECE], control: null, alerts: null }, rows }
}

function rowsOf(count: number): (readonly [RecordedTable, string])[] {
  return Array.from({ length: count }, (_, i) => ['weir.scored_transactions', `${i}\n`] as const)
}

function cut(limits: BlockLimits, journal: readonly Step[]): Block[] {
  const builder = new BlockBuilder(limits)
  return journal.map((step) => addStep(builder, step)).filter((block) => block !== null)
}

function addStep(builder: BlockBuilder, { line, rows }: Step): Block | null {
  for (const [table, row] of rows) {
    const open = builder.open(table)
    open.buffer.text(row)
    open.rows++
  }
  return builder.endLine(line)
}

function bytesOf(texts: readonly string[]): Buffer {
  return rowBytes((rows) => {
    for (const text of texts) rows.text(text)
  })
}
