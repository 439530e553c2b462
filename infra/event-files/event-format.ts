import { WeirError } from '#schemas/errors.ts'
import type { Label } from '#schemas/label.ts'
import type { Transaction } from '#schemas/transaction.ts'

/**
 * Files that hold events: JSON lines, CSV with a header, Avro object container files, and `frames`, which are records as
 * they stand on the log (magic byte, schema id, Avro body) with their length before each as 4 bytes, big-endian.
 */
export const EVENT_FORMATS = ['jsonl', 'csv', 'avro', 'frames'] as const
export type EventFormat = (typeof EVENT_FORMATS)[number]

/** One thing read from a file. `where` names line, row or record; a problem never quotes the value. */
export type ReadEvent =
  | { readonly kind: 'transaction'; readonly transaction: Transaction; readonly where: string }
  | { readonly kind: 'label'; readonly label: Label; readonly where: string }
  | { readonly kind: 'problem'; readonly field: string; readonly problem: string; readonly where: string }

/**
 * What a file holds, by the ending of its name.
 *
 * @throws WeirError USAGE where the ending says nothing
 */
export function formatOfFile(file: string): EventFormat {
  const ending = /\.([a-z]+)$/i.exec(file)?.[1]?.toLowerCase() ?? ''
  const format = ENDINGS[ending]
  if (format !== undefined) return format
  throw new WeirError('USAGE', 'the name of the file does not say what it holds', {
    where: file,
    fix: `Give --format (${EVENT_FORMATS.join(', ')}), or a name that ends in .${Object.keys(ENDINGS).join(', .')}.`,
  })
}

const ENDINGS: Readonly<Record<string, EventFormat>> = {
  jsonl: 'jsonl',
  ndjson: 'jsonl',
  json: 'jsonl',
  csv: 'csv',
  avro: 'avro',
  frames: 'frames',
}
