import { type Clock, wallClock } from './clock.ts'
import { acquireDataLock } from './folder-lock.ts'

/** The right to write in a data folder, as a part of the service holds it. */
export interface DataFolderLock {
  /** Gives the folder free; doing it again does nothing. */
  release(): Promise<void>
}

/**
 * Takes the data folder for this process, by the same lock files as every other command. What a process that died has
 * left behind, SIGKILL and loss of power included, is taken over; of several that try, one wins.
 *
 * @param what the command this process was started as: `run`, `demo`
 * @throws WeirError DATA_IN_USE with process number, command and start of the holder
 */
export async function lockDataFolder(folder: string, what: string, clock: Clock = wallClock): Promise<DataFolderLock> {
  const lock = acquireDataLock(folder, { pid: process.pid, command: what, since: clock.now() })
  return {
    async release() {
      lock.release()
    },
  }
}
