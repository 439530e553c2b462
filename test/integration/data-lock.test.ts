import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type DataFolderLock, lockDataFolder } from '#infra/data-lock.ts'
import { messageOf, WeirError } from '#schemas/errors.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

/** What a child answers: `null` when it did what it was asked, else the refusal. */
type Answer = { readonly code: string; readonly message: string } | null

// The file is also what the children run: they take and give free the folder as they are told.
if (process.argv[2] === 'child') answerParent(process.argv[3]!)
else defineTests()

function defineTests(): void {
  test('a second process is refused with a sentence that says which one holds the folder', () =>
    withChildren(1, async (folder, [holder]) => {
      assert.equal(await ask(holder!, 'take'), null)
      await assert.rejects(lockDataFolder(folder, 'run'), (error: unknown) => {
        assert.ok(error instanceof WeirError)
        assert.equal(error.code, 'DATA_IN_USE')
        assert.match(error.message, new RegExp(`process ${holder!.pid} \\(weir child, since 2\\d{3}-\\d\\d-\\d\\dT`))
        return true
      })
      assert.equal(await ask(holder!, 'release'), null)
      const lock = await lockDataFolder(folder, 'run')
      await lock.release()
      await lock.release()
    }))

  test('the folder of a process killed with SIGKILL is free again', () =>
    withChildren(1, async (folder, [holder]) => {
      assert.equal(await ask(holder!, 'take'), null)
      await kill(holder!)
      const lock = await lockDataFolder(folder, 'run')
      await lock.release()
    }))

  const skip = existsSync('/proc/self/stat') ? false : 'this system does not tell when a process began'
  test('a lock whose process number belongs to another process now is taken over', { skip }, () =>
    withChildren(1, async (folder, [holder]) => {
      assert.equal(await ask(holder!, 'take'), null)
      await kill(holder!)
      const file = join(folder, 'lock', readdirSync(join(folder, 'lock'))[0]!)
      const left = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
      writeFileSync(file, JSON.stringify({ ...left, pid: process.pid }))
      const lock = await lockDataFolder(folder, 'run')
      await lock.release()
    }),
  )

  test('of several processes that try at once exactly one wins, whatever the holder before left behind', () =>
    withChildren(5, async (_folder, children) => {
      const alive = [...children]
      for (let round = 0; round < 24; round++) {
        const answers = await Promise.all(alive.map((child) => ask(child, 'take')))
        const winners = alive.filter((_, i) => answers[i] === null)
        assert.equal(winners.length, 1, `round ${round}: ${winners.length} processes hold the folder`)
        const winner = winners[0]!
        for (const answer of answers) {
          if (answer === null) continue
          assert.equal(answer.code, 'DATA_IN_USE')
          assert.match(answer.message, new RegExp(`process ${winner.pid} |other processes`))
        }
        const isKilled = round % 8 === 7
        if (isKilled) {
          await kill(winner)
          alive.splice(alive.indexOf(winner), 1)
        } else {
          assert.equal(await ask(winner, 'release'), null)
        }
      }
      assert.equal(alive.length, 2)
    }))
}

async function withChildren(
  count: number,
  work: (folder: string, children: readonly ChildProcess[]) => Promise<void>,
): Promise<void> {
  await inTempFolder(async (folder) => {
    const children = Array.from({ length: count }, () =>
      fork(fileURLToPath(import.meta.url), ['child', folder], { execArgv: ['--import', 'tsx'] }),
    )
    try {
      await Promise.all(children.map((child) => once(child, 'message')))
      await work(folder, children)
    } finally {
      await Promise.all(children.map(kill))
    }
  })
}

async function ask(child: ChildProcess, what: 'take' | 'release'): Promise<Answer> {
  const answered = once(child, 'message') as Promise<[Answer | 'done']>
  child.send(what)
  const [answer] = await answered
  return answer === 'done' ? null : answer
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

function answerParent(folder: string): void {
  let lock: DataFolderLock | null = null
  const obey = async (what: unknown): Promise<void> => {
    if (what === 'take') lock = await lockDataFolder(folder, 'child')
    else await lock?.release()
  }
  process.on('message', (what) => {
    obey(what).then(
      () => process.send!('done'),
      (error: unknown) =>
        process.send!({ code: error instanceof WeirError ? error.code : '', message: messageOf(error) }),
    )
  })
  // A child outlives no parent, however that one ended.
  process.on('disconnect', () => process.exit())
  process.send!('ready')
}
