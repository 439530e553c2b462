import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import type { EventFormat } from '#infra/event-files/event-format.ts'
import { createLabelWriter, createTransactionWriter, type EventWriter } from '#infra/event-files/event-writer.ts'
import type { Codec } from '#schemas/codec.ts'
import type { Label } from '#schemas/label.ts'
import type { Transaction } from '#schemas/transaction.ts'
import type { Sink } from './sink.ts'

export interface FileSinkOptions {
  readonly format: EventFormat
  readonly codec: Codec
  /** Null: to `stdout`. */
  readonly file: string | null
  readonly stdout: (bytes: Uint8Array) => Promise<void>
  /** Null: labels are left out. */
  readonly labelsFile: string | null
}

/** Files appear under their names only when they are whole. */
export async function createFileSink({ format, codec, file, stdout, labelsFile }: FileSinkOptions): Promise<Sink> {
  const target = file === null ? null : await openWhole(file)
  let labelTarget: WholeFile | null = null
  try {
    labelTarget = labelsFile === null ? null : await openWhole(labelsFile)
  } catch (error) {
    await target?.abandon()
    throw error
  }
  const transactions = createTransactionWriter({ format, codec, write: target?.write ?? stdout })
  const labels = labelTarget === null ? null : createLabelWriter({ format, codec, write: labelTarget.write })
  return {
    transaction: (transaction: Transaction) => put(transactions, transaction),
    label: async (label: Label) => {
      if (labels !== null) await put(labels, label)
    },
    async finish() {
      await transactions.finish()
      await labels?.finish()
      await target?.keep()
      await labelTarget?.keep()
      return { file, labelsFile }
    },
    async abandon() {
      await target?.abandon()
      await labelTarget?.abandon()
    },
  }
}

async function put<T>(writer: EventWriter<T>, event: T): Promise<void> {
  if (writer.add(event)) await writer.flush()
}

export interface WholeFile {
  readonly write: (bytes: Uint8Array) => Promise<void>
  keep(): Promise<void>
  abandon(): Promise<void>
}

/** A file that is written beside its name, and gets it at the end. */
export async function openWhole(file: string): Promise<WholeFile> {
  const temporary = `${file}.partial`
  const handle: FileHandle = await open(temporary, 'w')
  return {
    write: async (bytes) => {
      await handle.writeFile(bytes)
    },
    async keep() {
      await handle.sync()
      await handle.close()
      await rename(temporary, file)
    },
    async abandon() {
      await handle.close().catch(() => {})
      await rm(temporary, { force: true })
    },
  }
}
