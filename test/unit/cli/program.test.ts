import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { Command, CommanderError } from 'commander'
import { failureOf } from '#cli/fail.ts'
import { createProgram } from '#cli/program.ts'
import { createStart } from '#cli/start.ts'
import type { CommandContext } from '#cli/context.ts'
import { WEIR_VERSION } from '#cli/version.ts'
import { WeirError } from '#schemas/errors.ts'
import { fakeIo } from '#test/support/fake-io.ts'

const COMMANDS = [
  'demo',
  'run',
  'simulate',
  'score',
  'train',
  'retrain',
  'models',
  'query',
  'dead-letters',
  'replay',
  'schemas',
  'doctor',
  'bench',
]

async function said(...argv: string[]): Promise<{ stdout: string; error: unknown }> {
  const io = fakeIo()
  const program = createProgram(io, () => {})
  const error: unknown = await program.parseAsync(argv, { from: 'user' }).then(
    () => null,
    (reason: unknown) => reason,
  )
  return { stdout: io.stdout(), error }
}

describe('help', () => {
  test('names every command with a summary, in groups, with examples', async () => {
    const { stdout, error } = await said('--help')
    assert.ok(error instanceof CommanderError && error.exitCode === 0)
    for (const command of COMMANDS) assert.match(stdout, new RegExp(`^  ${command} .*\\w{3}`, 'm'))
    for (const part of ['See it and run it:', 'Data:', 'Models:', 'Look into it:', '$ weir demo', 'Exit codes:']) {
      assert.ok(stdout.includes(part), part)
    }
    assert.ok(!stdout.includes('\u001B'), 'no colours where nobody sees them')
  })

  for (const command of COMMANDS) {
    test(`of ${command} has examples and the options every command takes`, async () => {
      const { stdout } = await said(command, '--help')
      assert.match(stdout, /Examples:\n  \$ weir /)
      for (const option of ['--json', '--config', '--data', '--set', '--log-level']) assert.ok(stdout.includes(option))
    })
  }

  test('tells the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
      version: string
    }
    assert.equal(WEIR_VERSION, version)
    assert.equal((await said('--version')).stdout, `${version}\n`)
  })
})

describe('wrong usage', () => {
  for (const [argv, message] of [
    [['modles'], /unknown command 'modles'\n\(Did you mean models\?\)/],
    [['demo', '--evnts', '3'], /unknown option '--evnts'\n\(Did you mean --events\?\)/],
    [['demo', '--events', 'many'], /--events.*must be a whole number from 1/s],
    [['demo', '--events', '0'], /must be a whole number from 1/],
    [['score'], /missing required argument 'file'/],
    [['simulate', '--to', 'nowhere'], /Allowed choices are/],
    [['simulate', '--from', '31.1.2026'], /a day such as 2026-01-31/],
    [['bench', 'everything'], /Allowed choices are/],
    [['query', '--param', 'novalue'], /NAME=VALUE/],
    [['models', 'promote'], /missing required argument 'version'/],
  ] as const) {
    test(`\`weir ${argv.join(' ')}\` says what is wrong and ends with 2`, async () => {
      const failure = failureOf((await said(...argv)).error)
      assert.equal(failure.exitCode, 2)
      assert.equal(failure.code, 'USAGE')
      assert.match(failure.message, message)
    })
  }

  test('a bad setting is refused before the command begins', async () => {
    const { error } = await said('models', 'list', '--set', 'api.port=x')
    assert.ok(error instanceof WeirError && error.code === 'CONFIG_INVALID')
  })
})

describe('what a command is given', () => {
  async function contextOf(...argv: string[]): Promise<{ context: CommandContext; io: ReturnType<typeof fakeIo> }> {
    const io = fakeIo()
    let context: CommandContext | null = null
    const program = new Command('weir')
      .option('--json')
      .option('--data <folder>')
      .option('-q, --quiet')
      .option('--log-level <l>')
    const start = createStart(io, () => {})
    program
      .command('try')
      .option('-p, --port <port>')
      .action(
        start(
          async (given) => {
            context = given
          },
          { port: 'api.port' },
        ),
      )
    await program.parseAsync(['try', ...argv], { from: 'user' })
    assert.ok(context !== null)
    return { context, io }
  }

  test('its own flags count as settings and say so', async () => {
    const { context } = await contextOf('--port', '0', '--data', '/some/where')
    assert.equal(context.config.api.port, 0)
    assert.equal(context.config.dataFolder, '/some/where')
    assert.equal(context.loaded.entries.find(({ key }) => key === 'api.port')?.source, 'flag --port')
  })

  test('with --json it reports one document and progress is silent', async () => {
    const { context, io } = await contextOf('--json')
    const progress = await context.progress('working', 10, 'rows')
    progress.update(5)
    progress.finish()
    context.report({ a: 1 }, 'a is 1\n')
    assert.equal(io.stdout(), '{"a":1}\n')
    assert.equal(io.stderr(), '')
  })

  test('without, it reports for people, and logs go to stderr', async () => {
    const { context, io } = await contextOf()
    context.logger.info('hello')
    context.report({ a: 1 }, 'a is 1\n')
    assert.equal(io.stdout(), 'a is 1\n')
    assert.match(io.stderr(), /"msg":"hello"/)
  })

  test('with --quiet only warnings are told', async () => {
    const { context, io } = await contextOf('--quiet')
    context.logger.info('hello')
    context.logger.warn('careful')
    assert.doesNotMatch(io.stderr(), /hello/)
    assert.match(io.stderr(), /careful/)
  })
})
