import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

const addressShape = z.object({
  pid: z.number().int().positive(),
  /** `http://127.0.0.1:8787`, without a slash at the end. */
  url: z.string(),
  tokenFile: z.string(),
  /** What it was started as: `run`, `demo`. */
  command: z.string(),
  /** Epoch milliseconds. */
  startedAt: z.number(),
})

/** Where the service that runs on a data folder can be spoken to. */
export type ServiceAddress = z.infer<typeof addressShape>

const FILE = 'service.json'

/** Tells other commands where this process listens; to be called once the API answers. */
export function writeServiceAddress(dataFolder: string, address: ServiceAddress): void {
  mkdirSync(dataFolder, { recursive: true })
  const temporary = join(dataFolder, `.${FILE}.${address.pid}`)
  writeFileSync(temporary, `${JSON.stringify(address, null, 2)}\n`, { mode: 0o600 })
  renameSync(temporary, join(dataFolder, FILE))
}

/** Takes the address away again, unless another process has put its own there. */
export function removeServiceAddress(dataFolder: string, pid: number): void {
  if (readServiceAddress(dataFolder)?.pid === pid) rmSync(join(dataFolder, FILE), { force: true })
}

/** The address in the folder, of a process that may be gone; null where there is none or it cannot be read. */
export function readServiceAddress(dataFolder: string): ServiceAddress | null {
  try {
    const parsed = addressShape.safeParse(JSON.parse(readFileSync(join(dataFolder, FILE), 'utf8')))
    return parsed.success ? parsed.data : null
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** True when a process of that number exists; it may be another one than before. */
export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
