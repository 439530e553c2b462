import { promisify } from 'node:util'
import zlib from 'node:zlib'

/** How a record batch is packed, by the number in its attributes. */
export const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
export type Compression = (typeof COMPRESSIONS)[number]
/** Those that Weir writes; it reads all. */
export type WrittenCompression = Exclude<Compression, 'zstd'>

/** What one batch may unpack to: a batch of a megabyte that claims more is a bomb, not a batch. */
const UNPACKED_BYTES_MAX = 268_435_456

const gunzip = promisify(zlib.gunzip)
const gzip = promisify(zlib.gzip)

/** @throws Error when the bytes are not what they claim to be, or more than a batch can hold */
export async function decompress(
  compression: Compression,
  packed: Buffer,
  bytesMax = UNPACKED_BYTES_MAX,
): Promise<Buffer> {
  switch (compression) {
    case 'none':
      return packed
    case 'gzip':
      return gunzip(packed, { maxOutputLength: bytesMax })
    case 'snappy':
      return unsnappy(packed, bytesMax)
    case 'lz4':
      // It cannot grow more than 255 times, and a batch is a megabyte.
      return (await import('lz4-napi')).decompressFrame(packed)
    case 'zstd':
      return unzstd(packed, bytesMax)
  }
}

export async function compress(compression: WrittenCompression, plain: Buffer): Promise<Buffer> {
  switch (compression) {
    case 'none':
      return plain
    case 'gzip':
      return gzip(plain)
    case 'snappy':
      return (await import('snappy')).compress(plain)
    case 'lz4':
      return (await import('lz4-napi')).compressFrame(plain)
  }
}

/** Java's clients cut snappy into blocks behind a header of xerial's snappy-java; others write one bare block. */
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16

async function unsnappy(packed: Buffer, bytesMax: number): Promise<Buffer> {
  const { uncompress } = await import('snappy')
  const unpack = async (block: Buffer): Promise<Buffer> => {
    checkSize(snappySize(block), bytesMax)
    return (await uncompress(block, { asBuffer: true })) as Buffer
  }
  if (!packed.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return unpack(packed)
  const blocks: Buffer[] = []
  let total = 0
  for (let at = XERIAL_HEADER_BYTES; at < packed.length; ) {
    const bytes = packed.readUInt32BE(at)
    at += 4
    if (at + bytes > packed.length) throw new Error('a snappy block is cut off')
    const block = await unpack(packed.subarray(at, at + bytes))
    total += block.length
    checkSize(total, bytesMax)
    blocks.push(block)
    at += bytes
  }
  return blocks.length === 1 ? blocks[0]! : Buffer.concat(blocks)
}

/** A snappy block begins with its unpacked size, seven bits a byte. */
function snappySize(block: Buffer): number {
  let size = 0
  for (let i = 0; i < 5; i++) {
    const byte = block[i]
    if (byte === undefined) break
    size += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return size
  }
  throw new Error('a snappy block has no size')
}

type Unzstd = (packed: Buffer, options: { readonly maxOutputLength: number }) => Buffer

/** Node has zstd from 22.15 on; before that it is unpacked in JavaScript. */
async function unzstd(packed: Buffer, bytesMax: number): Promise<Buffer> {
  const native = (zlib as { readonly zstdDecompressSync?: Unzstd }).zstdDecompressSync
  if (native !== undefined) return native(packed, { maxOutputLength: bytesMax })
  const { Decompress } = await import('fzstd')
  const chunks: Uint8Array[] = []
  let total = 0
  const unpacking = new Decompress((chunk) => {
    total += chunk.length
    checkSize(total, bytesMax)
    chunks.push(chunk)
  })
  unpacking.push(packed, true)
  return Buffer.concat(chunks)
}

function checkSize(bytes: number, bytesMax: number): void {
  if (bytes > bytesMax) throw new Error(`a batch unpacks to more than ${bytesMax} bytes`)
}
