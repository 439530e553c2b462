import { createReadStream, existsSync, statSync } from 'node:fs'
import type { Readable } from 'node:stream'
import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import { readContainer } from './avro-container.ts'
import { readCsv } from './csv.ts'
import type { EventFormat, ReadEvent } from './event-format.ts'
import { readFrames } from './frames.ts'
import { readJsonLines } from './json-lines.ts'

export interface EventSource {
  readonly input: Readable
  readonly format: EventFormat
  /** For error messages: the file's name, or `stdin`. */
  readonly name: string
  readonly codec: Codec
}

/**
 * Reads events in batches, in the order in which they stand. What cannot be taken comes as a problem in its place; what
 * makes the whole file unreadable is thrown.
 *
 * @throws WeirError INPUT_INVALID (names file and place), SCHEMA_INCOMPATIBLE
 */
export function readEvents(source: EventSource): AsyncGenerator<readonly ReadEvent[]> {
  return READERS[source.format](source)
}

const READERS: Readonly<Record<EventFormat, (source: EventSource) => AsyncGenerator<readonly ReadEvent[]>>> = {
  jsonl: readJsonLines,
  csv: readCsv,
  avro: readContainer,
  frames: readFrames,
}

/**
 * A file as a stream.
 *
 * @throws WeirError INPUT_NOT_FOUND
 */
export function openEventFile(file: string): Readable {
  if (!existsSync(file) || statSync(file).isDirectory()) {
    throw new WeirError('INPUT_NOT_FOUND', 'there is no such file', { where: file, fix: 'Check the name; - is stdin.' })
  }
  return createReadStream(file, { highWaterMark: READ_BYTES })
}

const READ_BYTES = 262_144
