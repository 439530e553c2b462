import assert from 'node:assert/strict'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { METRICS } from '#infra/metrics-catalogue.ts'
import { ERRORS } from '#schemas/errors.ts'
import { readSource, sourceFilesIn } from '#test/support/import-graph.ts'

const ROOT = join(fileURLToPath(import.meta.url), '../../..')
const FOLDERS = ['schemas', 'infra', 'models', 'simulator', 'pipeline', 'learning', 'console', 'cli']
const sources = sourceFilesIn(ROOT, FOLDERS).map((file) => ({ file, code: withoutComments(readSource(ROOT, file)) }))

/** What must not be written, where it may be all the same, and why. */
const FORBIDDEN: readonly { readonly what: string; readonly pattern: RegExp; readonly allowed: RegExp | null }[] = [
  { what: 'console.log and its like: use the logger', pattern: /\bconsole\.\w+\(/, allowed: null },
  { what: 'eval: rules are parsed, never run as code', pattern: /\beval\(/, allowed: null },
  { what: 'the Function constructor', pattern: /\bnew Function\b|\bFunction\(/, allowed: null },
  { what: 'any', pattern: /:\s*any\b|\bas any\b|<any\b|\bany\[\]/, allowed: null },
  { what: 'enum', pattern: /^\s*(export )?(const )?enum /m, allowed: null },
  { what: 'a default export', pattern: /^export default /m, allowed: null },
  { what: 'a compiler error that is silenced', pattern: /@ts-(ignore|nocheck)/, allowed: null },
  {
    what: 'process.exit, which cuts off what is still being written',
    pattern: /\bprocess\.exit\(/,
    allowed: /^cli\/|child\.ts$/,
  },
]

for (const { what, pattern, allowed } of FORBIDDEN) {
  test(`no source file holds ${what}`, () => {
    const offenders = sources.filter(({ file, code }) => pattern.test(code) && allowed?.test(file) !== true)
    assert.deepEqual(
      offenders.map(({ file }) => file),
      [],
    )
  })
}

test('each of these rules finds what it forbids', () => {
  const examples = [
    'console.warn(1)',
    'eval(x)',
    'new Function("x")',
    'x as any',
    'enum A {',
    'export default x',
    '@ts-ignore',
    'process.exit(1)',
  ]
  assert.deepEqual(
    examples.map((example, i) => FORBIDDEN[i]!.pattern.test(example)),
    examples.map(() => true),
  )
})

test('every metric that is counted stands in the catalogue, and every one there is counted somewhere', () => {
  const others = sources.filter(({ file }) => file !== 'infra/metrics-catalogue.ts').map(({ code }) => code)
  const counted = others.flatMap((code) =>
    [...code.matchAll(/\.(?:count|gauge|observe)\(\s*'(\w+)'/g)].map(([, name]) => name!),
  )
  const known = Object.keys(METRICS)
  assert.deepEqual(
    counted.filter((name) => !known.includes(name)),
    [],
  )
  assert.deepEqual(
    known.filter((name) => !others.some((code) => code.includes(`'${name}'`))),
    [],
  )
})

test('every error code is used', () => {
  const all = sources
    .filter(({ file }) => file !== 'schemas/errors.ts')
    .map(({ code }) => code)
    .join('\n')
  assert.deepEqual(
    Object.keys(ERRORS).filter((code) => !all.includes(`'${code}'`)),
    [],
  )
})

test('files are named in kebab-case, and those of unit tests lie where what they test lies', () => {
  const names = sources.map(({ file }) => file).filter((file) => !/^[a-z0-9/]+(?:[-.][a-z0-9/]+)*\.tsx?$/.test(file))
  assert.deepEqual(names, [])
  const astray = readdirSync(join(ROOT, 'test/unit'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name).slice(join(ROOT, 'test/unit/').length))
    .filter((file) => file.includes('/') && !existsSync(join(ROOT, file.split('/').slice(0, -1).join('/'))))
  assert.deepEqual(astray, [])
})

/** Comments may speak of what code must not hold. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/[^\n]*/g, '$1')
}
