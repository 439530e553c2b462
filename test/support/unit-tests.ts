// Unit, contract and guide tests, many in one process: no module holds state, so none needs a process of its own, and
// the run itself is the proof. A suite for each file keeps its hooks to itself. Contracts that want a broker run with the
// integration tests.
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

const TEST_FOLDER = dirname(dirname(fileURLToPath(import.meta.url)))

/** Runs the test files under `unit/`, `contract/` and `guide/` whose path, from this folder on, is wanted. */
export async function runUnitTests(isWanted: (path: string) => boolean): Promise<void> {
  for (const folder of ['unit', 'contract', 'guide']) {
    for (const file of testFilesIn(join(TEST_FOLDER, folder))) {
      const path = relative(TEST_FOLDER, file)
      if (!isWanted(path)) continue
      await describe(path, async () => {
        await import(pathToFileURL(file).href)
      })
    }
  }
}

function testFilesIn(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && /\.test\.tsx?$/.test(entry.name))
    .filter((entry) => !entry.name.endsWith('-kafka.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}
