import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type ConfigSources, defaultConfig, environmentName, loadConfig, settingsByKey } from '#schemas/config.ts'
import { WeirError } from '#schemas/errors.ts'
import { inTempFolder } from '#test/support/temp-folder.ts'

const NOTHING: ConfigSources = { folder: '/work-folder', file: null, env: {}, flags: [] }

function problemsOf(sources: Partial<ConfigSources>): string[] {
  try {
    loadConfig({ ...NOTHING, ...sources })
  } catch (error) {
    assert.ok(error instanceof WeirError)
    assert.equal(error.code, 'CONFIG_INVALID')
    assert.equal(error.exitCode, 2)
    return error.message.split('\n')
  }
  return []
}

function sourceOf(sources: Partial<ConfigSources>, key: string): string {
  const entry = loadConfig({ ...NOTHING, ...sources }).entries.find((other) => other.key === key)
  assert.ok(entry)
  return `${entry.shown} from ${entry.source}`
}

describe('where a setting comes from', () => {
  test('the default holds when nobody says anything', () => {
    assert.equal(sourceOf({}, 'api.port'), '8787 from default')
    assert.equal(defaultConfig('/x').path.deduplicateIds, 4_000_000)
    assert.equal(defaultConfig('/x').dataFolder, '/x/.weir')
  })

  test('the file wins over the default, the environment over the file, a flag over all', async () => {
    await inTempFolder((folder) => {
      writeFileSync(join(folder, 'weir.yaml'), 'api:\n  port: 1001\n  scoreTimeoutMs: 7\n')
      const env = { WEIR_API_PORT: '1002', WEIR_CONFIG: '' }
      assert.equal(sourceOf({ folder }, 'api.port'), `1001 from ${join(folder, 'weir.yaml')}:2`)
      assert.equal(sourceOf({ folder, env }, 'api.port'), '1002 from environment WEIR_API_PORT')
      assert.equal(sourceOf({ folder, env }, 'api.scoreTimeoutMs'), `7 from ${join(folder, 'weir.yaml')}:3`)
      const flags = [{ key: 'api.port', value: '1003', flag: '--port' }]
      assert.equal(sourceOf({ folder, env, flags }, 'api.port'), '1003 from flag --port')
    })
  })

  test('a variable that is set but empty counts as not set', () => {
    assert.equal(sourceOf({ env: { WEIR_API_PORT: '' } }, 'api.port'), '8787 from default')
  })

  test('paths are taken from where they were written', async () => {
    await inTempFolder((folder) => {
      mkdirSync(join(folder, 'etc'))
      writeFileSync(join(folder, 'etc/my.yaml'), 'rules: { file: r.yaml }\nlists:\n')
      const { config } = loadConfig({ ...NOTHING, folder, file: 'etc/my.yaml', env: { WEIR_LISTS_FILE: 'l.yaml' } })
      assert.equal(config.rules.file, join(folder, 'etc/r.yaml'))
      assert.equal(config.lists.file, join(folder, 'l.yaml'))
      assert.equal(config.rates.file, '', 'empty stays empty: the usual place')
    })
  })

  test('a spec is one of the names that Weir knows, or a file', () => {
    const spec = (value: string): string =>
      loadConfig({ ...NOTHING, flags: [{ key: 'path.spec', value, flag: '--spec' }] }).config.path.spec
    assert.equal(spec('lean'), 'lean')
    assert.equal(spec('my/own.json'), '/work-folder/my/own.json')
  })

  test('lists are arrays in the file and words with commas elsewhere', () => {
    const { config } = loadConfig({ ...NOTHING, env: { WEIR_API_HOST_NAMES: 'a.example, b.example' } })
    assert.deepEqual(config.api.hostNames, ['a.example', 'b.example'])
  })

  test('a secret is never shown, not even when it is wrong', () => {
    assert.equal(
      sourceOf({ env: { WEIR_EXPLORATION_SEED: 's3cret' } }, 'exploration.seed'),
      '******** from environment WEIR_EXPLORATION_SEED',
    )
    const [problem] = problemsOf({ env: { WEIR_EXPLORATION_SEED: 's3cret'.repeat(100) } })
    assert.match(problem!, /exploration\.seed is \(secret\)/)
    assert.doesNotMatch(problem!, /s3cret/)
  })

  test('no two settings share a name in the environment', () => {
    const names = [...settingsByKey().keys()].map(environmentName)
    assert.equal(new Set(names).size, names.length)
    assert.equal(environmentName('path.sliceRowsMax'), 'WEIR_PATH_SLICE_ROWS_MAX')
  })
})

describe('a bad setting', () => {
  test('is named with its value, its source and what is allowed', () => {
    assert.deepEqual(problemsOf({ env: { WEIR_API_PORT: '99999' } }), [
      'api.port is "99999" (environment WEIR_API_PORT); allowed: a whole number from 0 to 65,535. Correct it or remove it',
    ])
  })

  test('does not hide the others', () => {
    const problems = problemsOf({
      env: { WEIR_PATH_SPEC: 'fat', WEIR_RETRAIN_SCHEDULE: '* * *' },
      flags: [{ key: 'threshold.causeShareMax', value: 'much', flag: '--set' }],
    })
    assert.deepEqual(
      problems.map((problem) => problem.split(' ')[0]),
      ['path.spec', 'threshold.causeShareMax', 'retrain.schedule'],
    )
  })

  test('that does not exist is met with the one that was meant', async () => {
    await inTempFolder((folder) => {
      writeFileSync(join(folder, 'weir.yaml'), 'logLevel: info\npath:\n  sliceRowMax: 12\n')
      assert.deepEqual(problemsOf({ folder }), [
        `"path.sliceRowMax" is no setting; did you mean path.sliceRowsMax? (${join(folder, 'weir.yaml')}:3)`,
      ])
    })
    assert.match(problemsOf({ flags: [{ key: 'port', value: '1', flag: '--set' }] })[0]!, /did you mean api\.port\?/)
    assert.deepEqual(problemsOf({ flags: [{ key: 'xyzzy', value: '1', flag: '--set' }] }), [
      '"xyzzy" is no setting (flag --set)',
    ])
  })

  test('in the environment is only told, since platforms set such names by themselves', () => {
    const { warnings } = loadConfig({ ...NOTHING, env: { WEIR_API_PRT: '1', WEIR_SERVICE_HOST: 'x', HOME: '/' } })
    assert.equal(warnings.length, 2)
    assert.match(warnings[0]!, /WEIR_API_PRT.*did you mean WEIR_API_PORT\?/)
  })

  test('that contradicts another is named with it', () => {
    assert.match(
      problemsOf({ flags: [{ key: 'threshold.fixed.review', value: '0.95', flag: '--set' }] })[0]!,
      /threshold\.fixed\.review is 0\.95 and lies above threshold\.fixed\.decline/,
    )
    assert.match(
      problemsOf({ flags: [{ key: 'topics.alerts', value: 'labels', flag: '--set' }] })[0]!,
      /topics\.alerts and topics\.labels are both labels/,
    )
    assert.match(
      problemsOf({ flags: [{ key: 'exploration.declinedShare', value: '0.01', flag: '--set' }] })[0]!,
      /lossMaxPerDay/,
    )
  })

  test('in a file that is no YAML is named with its line', async () => {
    await inTempFolder((folder) => {
      writeFileSync(join(folder, 'weir.yaml'), 'api:\n  port: [1\nlogLevel: info\n')
      assert.match(problemsOf({ folder })[0]!, /cannot be read: line \d+, column \d+/)
      writeFileSync(join(folder, 'weir.yaml'), '- api\n')
      assert.match(problemsOf({ folder })[0]!, /must hold keys with values/)
      writeFileSync(join(folder, 'weir.yaml'), 'api: 3\n')
      assert.match(problemsOf({ folder })[0]!, /^api in .*weir\.yaml:1 must hold keys/)
    })
  })

  test('is a file asked for by name that is not there', () => {
    assert.deepEqual(problemsOf({ file: 'missing.yaml' }), ['the config file does not exist'])
  })

  test('is refused whatever its type', () => {
    for (const [key, value] of [
      ['api.port', '80.5'],
      ['api.port', ' '],
      ['api.port', '0x50'.repeat(9)],
      ['api.enabled', 'maybe'],
      ['api.port', 'NaN'],
      ['clickhouse.url', 'ftp://x'],
      ['clickhouse.url', 'http://user:password@x'],
      ['topics.journal', 'a; drop'],
      ['dataFolder', 'a\0b'],
      ['topics.alerts', ''],
      ['threshold.causeShareMax', 'Infinity'],
    ] as const) {
      assert.equal(problemsOf({ flags: [{ key, value, flag: '--set' }] }).length, 1, `${key}=${value}`)
    }
  })
})

test('every setting says what it is, and its default is one that is allowed', () => {
  for (const [key, setting] of settingsByKey()) {
    assert.ok(setting.about.length > 15 && setting.about.endsWith('.'), key)
    assert.ok(setting.shape.safeParse(setting.fallback).success, key)
  }
})
