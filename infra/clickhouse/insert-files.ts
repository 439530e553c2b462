import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { open, truncate } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Files through which rows reach the embedded engine. A file is used again for the next insert; names are this process's
 * own, since the engine of a process that was killed may still be reading one of its files.
 */
export class InsertFiles {
  private readonly folder: string
  private readonly owner: string
  private readonly free: string[] = []
  private made = 0

  /** @param owner what no other process calls itself */
  constructor(folder: string, owner: string) {
    this.folder = folder
    this.owner = owner
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  }

  /** Writes the rows into a file that is the caller's until it is given back. */
  async write(rows: string | Buffer | readonly Buffer[]): Promise<string> {
    const file = this.free.pop() ?? join(this.folder, `${this.owner}-${this.made++}`)
    const parts = typeof rows === 'string' ? [Buffer.from(rows)] : Buffer.isBuffer(rows) ? [rows] : rows
    const handle = await open(file, 'w', 0o600)
    try {
      for (const part of parts) await handle.writeFile(part)
    } finally {
      await handle.close()
    }
    return file
  }

  async giveBack(file: string): Promise<void> {
    this.free.push(file)
    // Rows are not left lying about beside the tables.
    await truncate(file).catch(() => {})
  }

  /** Once the engine is this process's: whatever others left. */
  removeOthers(): void {
    for (const name of readdirSync(this.folder)) {
      if (!name.startsWith(`${this.owner}-`)) rmSync(join(this.folder, name), { force: true })
    }
  }

  removeAll(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}
