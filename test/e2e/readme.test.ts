import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { prepareKafka } from '#test/support/kafka-home.ts'
import { skipWithout } from '#test/support/optional-tool.ts'

const ROOT = new URL('../..', import.meta.url).pathname
const COMMAND_MS_MAX = 300_000
/** Runs until it is told to stop; the word says that it is up. */
const ENDLESS: readonly (readonly [RegExp, RegExp])[] = [
  [/^make kafka\b/, /kafka: ready at/],
  [/^make demo\b/, /page +http/],
  [/^npx weir demo(?!.*--exit)/, /page +http/],
  [/^npx weir run\b/, /Page: http/],
]

/** Where README says that its broker is. */
const BROKER = '127.0.0.1:9092'
const kafkaHome = await prepareKafka()

/** Commands of a document: its indented or fenced shell lines, continued ones joined, comments left out. */
function commandsOf(file: string): string[] {
  const commands: string[] = []
  let fence: string | null = null
  let open = ''
  for (const line of readFileSync(join(ROOT, file), 'utf8').split('\n')) {
    const fenced = /^```(\w*)/.exec(line)
    if (fenced !== null) {
      fence = fence === null ? fenced[1]! : null
      continue
    }
    const isShell =
      fence === null ? /^ {4}\S/.test(line) || (open !== '' && /^ {4}/.test(line)) : /^(sh|bash|console)$/.test(fence)
    if (!isShell) continue
    const text = open + line.trim().replace(/^\$ /, '')
    open = text.endsWith('\\') ? text.slice(0, -1) : ''
    if (open === '') commands.push(text.replace(/\s+#.*$/, ''))
  }
  return commands.filter((command) => /^(make|npx|curl|node|echo|cat) /.test(command))
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { readonly port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe('the README, typed as it stands', () => {
  let folder: string
  let brokerPort: number
  let running: ChildProcess | null = null
  /** Stays in its own terminal while the others are typed. */
  let broker: ChildProcess | null = null
  /** Where the one that runs says that it does. */
  let address = ''

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'weir-readme-'))
    brokerPort = await freePort()
  })
  after(async () => {
    await stop()
    if (broker !== null) await end(broker)
    rmSync(folder, { recursive: true })
  })

  /** A process group of its own, so that make and what it starts can be told to stop together. */
  function start(command: string): ChildProcess {
    // What README calls .weir is a temporary folder here, so that a developer's own data is left alone; so is the broker's.
    const line = command
      .replaceAll('.weir/', `${folder}/`)
      .replaceAll(BROKER, `127.0.0.1:${brokerPort}`)
      .replace(/^make kafka$/, `make kafka KAFKA="--port ${brokerPort} --folder ${folder}/broker"`)
    return spawn('bash', ['-c', line], {
      cwd: ROOT,
      env: { ...process.env, WEIR_DATA_FOLDER: folder },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  async function stop(): Promise<void> {
    if (running === null) return
    const child = running
    running = null
    await end(child)
  }

  async function end(child: ChildProcess): Promise<void> {
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
    process.kill(-child.pid!, 'SIGINT')
    await ended
  }

  async function runToEnd(command: string): Promise<void> {
    const child = start(command)
    let said = ''
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        said = (said + chunk.toString()).slice(-4_000)
      })
    }
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), COMMAND_MS_MAX)
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
    clearTimeout(timer)
    assert.equal(code, 0, `${command}\n${said}`)
  }

  async function runUntilUp(command: string, word: RegExp): Promise<void> {
    const isBroker = command.startsWith('make kafka')
    if (!isBroker) await stop()
    const child = start(command)
    if (isBroker) broker = child
    else running = child
    if (!isBroker) address = join(command.includes('.weir/kafka') ? join(folder, 'kafka') : folder, 'service.json')
    await new Promise<void>((resolve, reject) => {
      let said = ''
      const listen = (chunk: Buffer): void => {
        said += chunk.toString()
        if (word.test(said)) resolve()
      }
      child.stdout!.on('data', listen)
      child.stderr!.on('data', listen)
      child.once('exit', (code) => reject(new Error(`${command} ended with ${code}\n${said.slice(-4_000)}`)))
    })
  }

  const commands = commandsOf('README.md')

  test('begins with the demo and the tests', () => {
    assert.deepEqual(commands.slice(0, 2), ['make demo', 'make test'])
  })

  for (const command of commands) {
    // This test is one of those that `make test` runs.
    if (command === 'make test') continue
    const skip = /kafka/.test(command) ? skipWithout(kafkaHome) : false
    test(command, { skip }, async () => {
      const endless = ENDLESS.find(([pattern]) => pattern.test(command))
      // Two demos cannot share their folder.
      if (command.includes(' demo')) await stop()
      if (endless !== undefined) await runUntilUp(command, endless[1])
      else await runToEnd(command)
    })
  }

  test('what was left running stops when it is told to', async () => {
    assert.ok(running !== null && existsSync(address))
    await stop()
    assert.ok(!existsSync(address), 'it took its address away, so it stopped in good order')
  })
})
