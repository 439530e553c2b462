import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { compress, decompress, type WrittenCompression } from '#infra/kafka/compression.ts'
import { crc32c } from '#infra/kafka/crc32c.ts'
import { type AbortedTransaction, BATCH, readBatches, takeRecords, writeLong } from '#infra/kafka/record-batch.ts'
import { packRecords, sealBatch } from '#infra/kafka/record-batch-writer.ts'
import type { LogRecord, RecordToAppend } from '#infra/log/log.ts'

const PLAIN = { producerId: -1, producerEpoch: -1, isTransactional: false }
const bytes = fc.option(fc.uint8Array({ maxLength: 200 }), { nil: null })
const record = fc.record({ topic: fc.constant('t'), partition: fc.constant(3), key: bytes, value: bytes })

async function batchOf(
  baseOffset: number,
  records: readonly RecordToAppend[],
  compression: WrittenCompression = 'none',
  writer = PLAIN,
): Promise<Buffer> {
  const batch = Buffer.from(
    sealBatch(await packRecords(records, compression), compression, writer, 0, 1_700_000_000_000),
  )
  writeLong(batch, baseOffset, BATCH.baseOffset)
  return batch
}

async function read(
  records: Buffer,
  from: number,
  aborted: readonly AbortedTransaction[] = [],
  max = 1_000,
): Promise<{ readonly records: LogRecord[]; readonly next: number }> {
  const { batches, next } = await readBatches(records, from, aborted, 't/3')
  const all: LogRecord[] = []
  for (const batch of batches) while (batch.left > 0) takeRecords(batch, from, max, 't', 3, all)
  return { records: all, next }
}

test('what is written is read back, from any offset on and in pieces of any size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(record, { minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 5 }),
      fc.constantFrom<WrittenCompression>('none', 'gzip', 'snappy', 'lz4'),
      fc.integer({ min: 0, max: 2 ** 52 }),
      fc.integer({ min: 0, max: 10 }),
      fc.integer({ min: 1, max: 7 }),
      async (units, compression, first, skipped, max) => {
        const parts: Buffer[] = []
        const expected: LogRecord[] = []
        let offset = first
        for (const unit of units) {
          parts.push(await batchOf(offset, unit, compression))
          for (const [i, { topic, partition, key, value }] of unit.entries()) {
            const copy = (b: Uint8Array | null): Buffer | null => (b === null ? null : Buffer.from(b))
            expected.push({ topic, partition, offset: offset + i, key: copy(key), value: copy(value) })
          }
          offset += unit.length + 1
        }
        const from = first + skipped
        const found = await read(Buffer.concat(parts), from, [], max)
        assert.deepEqual(
          found.records,
          expected.filter((r) => r.offset >= from),
        )
        assert.equal(found.next, Math.max(from, offset - 1))
      },
    ),
    { numRuns: 60 },
  )
})

test('a batch that was cut off by the size of the answer is left for the next one', async () => {
  const whole = await batchOf(5, [{ topic: 't', partition: 3, key: null, value: Buffer.from('a') }])
  const cut = await batchOf(6, [{ topic: 't', partition: 3, key: null, value: Buffer.alloc(500) }])
  for (let length = 0; length < cut.length; length += 37) {
    const found = await read(Buffer.concat([whole, cut.subarray(0, length)]), 5)
    assert.deepEqual([found.records.length, found.next], [1, 6])
  }
})

test('a bit that fell over is noticed, wherever it stands in a batch', async () => {
  const batch = await batchOf(0, [{ topic: 't', partition: 3, key: Buffer.from('k'), value: Buffer.from('value') }])
  for (let at = BATCH.crc; at < batch.length; at++) {
    const broken = Buffer.from(batch)
    broken[at]! ^= 0x10
    await assert.rejects(read(broken, 0), { code: 'LOG_DAMAGED', where: 't/3 offset 0' })
  }
})

test('a format or a compression that is not known stops loudly and names the place', async () => {
  const batch = await batchOf(42, [{ topic: 't', partition: 3, key: null, value: Buffer.from('value') }])
  const old = Buffer.from(batch)
  old[BATCH.magic] = 1
  await assert.rejects(read(old, 42), { code: 'LOG_UNREADABLE', message: /format 1/, where: 't/3 offset 42' })
  const unknown = Buffer.from(batch)
  unknown.writeInt16BE(6, BATCH.attributes)
  unknown.writeUInt32BE(crc32c(unknown, BATCH.attributes), BATCH.crc)
  await assert.rejects(read(unknown, 42), { code: 'LOG_UNREADABLE', message: /compression 6/, where: 't/3 offset 42' })
  for (const code of [1, 2, 3, 4]) {
    const nonsense = Buffer.from(batch)
    nonsense.writeInt16BE(code, BATCH.attributes)
    nonsense.writeUInt32BE(crc32c(nonsense, BATCH.attributes), BATCH.crc)
    await assert.rejects(read(nonsense, 42), { code: 'LOG_UNREADABLE', message: /cannot be unpacked/ })
  }
})

test('only what was committed is seen, whatever transactions lie across each other', async () => {
  const step = fc.record({ writer: fc.integer({ min: 1, max: 3 }), end: fc.constantFrom('no', 'commit', 'abort') })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(), fc.boolean(), async (steps, start, isReversed) => {
      const parts: Buffer[] = []
      const open = new Map<number, number[]>()
      const visible: number[] = []
      const aborted: (AbortedTransaction & { last: number })[] = []
      let offset = 0
      for (const { writer, end } of steps) {
        const value = Buffer.from(String(offset))
        const identity = { producerId: writer, producerEpoch: 0, isTransactional: true }
        const records = [{ topic: 't', partition: 3, key: Buffer.from([0, 0, 0, 0]), value }]
        parts.push(await batchOf(offset, records, 'none', identity))
        open.set(writer, [...(open.get(writer) ?? []), offset])
        offset++
        if (end === 'no') continue
        const own = open.get(writer)!
        open.delete(writer)
        if (end === 'commit') visible.push(...own)
        else aborted.push({ producerId: writer, firstOffset: own[0]!, last: offset })
        parts.push(markerOf(offset++, writer, end === 'commit'))
      }
      // A broker gives nothing behind the first transaction that is still open, and lists what concerns the rest.
      const end = Math.min(offset, ...[...open.values()].map(([first]) => first!))
      const from = start % (end + 1)
      const given = parts.filter((part) => part.readInt32BE(4) >= from && part.readInt32BE(4) < end)
      const listed = aborted.filter(({ last }) => last >= from)
      const found = await read(Buffer.concat(given), from, isReversed ? listed.toReversed() : listed)
      assert.deepEqual(
        found.records.map((r) => r.offset),
        visible.filter((o) => o >= from && o < end).sort((a, b) => a - b),
      )
    }),
    { numRuns: 200 },
  )
})

test('the checksum is CRC-32C', () => {
  // RFC 3720, appendix B.4, and the check value of the usual tables.
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283)
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa)
  assert.equal(crc32c(Buffer.alloc(32, 0xff)), 0x62a8ab43)
  assert.equal(crc32c(Buffer.from(Array.from({ length: 32 }, (_, i) => i))), 0x46dd794e)
  assert.equal(crc32c(Buffer.from('xx123456789'), 2), 0xe3069283)
})

test('a small batch that claims to be huge is refused before it fills the memory', async () => {
  const plain = Buffer.alloc(100_000)
  const packed = {
    gzip: gzipSync(plain),
    snappy: await compress('snappy', plain),
    // 100,000 zero bytes, packed by zstd 1.5 from a pipe, so that their number stands nowhere.
    zstd: Buffer.from('KLUv/QRYVQAAEAAAAQCbhjnAAtsjTvM=', 'base64'),
  }
  for (const [name, bytes] of Object.entries(packed)) {
    const compression = name as keyof typeof packed
    assert.deepEqual(await decompress(compression, bytes, 100_000), plain)
    await assert.rejects(decompress(compression, bytes, 99_999))
  }
})

test('snappy is read in both of its forms', async () => {
  const plain = Buffer.from('abcabcabc'.repeat(50))
  const block = await compress('snappy', plain)
  assert.deepEqual(await decompress('snappy', block), plain)
  const size = Buffer.alloc(4)
  size.writeInt32BE(block.length)
  const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
  const framed = Buffer.concat([header, size, block, size, block])
  assert.deepEqual(await decompress('snappy', framed), Buffer.concat([plain, plain]))
  await assert.rejects(decompress('snappy', framed.subarray(0, -3)), /cut off/)
})

/** A control batch with one record: version 0, type 0 (abort) or 1 (commit). */
function markerOf(offset: number, producerId: number, isCommit: boolean): Buffer {
  const body = Buffer.from([0, 0, 0, 8, 0, 0, 0, isCommit ? 1 : 0, 0, 0])
  const batch = Buffer.concat([Buffer.alloc(BATCH.headerBytes), Buffer.from([body.length << 1]), body])
  writeLong(batch, offset, BATCH.baseOffset)
  batch.writeInt32BE(batch.length - BATCH.leaderEpoch, BATCH.length)
  batch.writeInt8(2, BATCH.magic)
  batch.writeInt16BE(0x30, BATCH.attributes)
  writeLong(batch, producerId, BATCH.producerId)
  batch.writeInt32BE(1, BATCH.count)
  batch.writeUInt32BE(crc32c(batch, BATCH.attributes), BATCH.crc)
  return batch
}
