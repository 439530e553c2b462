import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { METRICS } from '#infra/metrics-catalogue.ts'
import { loadConfig } from '#schemas/config.ts'
import { DEAD_LETTER_REASONS } from '#schemas/dead-letter.ts'
import { ERRORS } from '#schemas/errors.ts'

const text = readFileSync(new URL('../../RUNBOOK.md', import.meta.url), 'utf8')
const [before = '', errors = ''] = text.split('\n## Errors by code\n')

/** Sections of the part on errors, by heading. */
const sections = new Map(
  errors
    .split('\n### ')
    .slice(1)
    .map((section) => {
      const end = section.indexOf('\n')
      return [section.slice(0, end), section.slice(end + 1)] as const
    }),
)

describe('the RUNBOOK', () => {
  test('has a section for every error, in the order of the alphabet, and for nothing else', () => {
    assert.deepEqual([...sections.keys()], Object.keys(ERRORS).sort())
  })

  for (const [code, section] of sections) {
    test(`${code}: the line, what it means, what Weir does, what to do and what not to do`, () => {
      assert.match(section, /^\n {4}(weir: |\{")/, 'the line as it appears')
      for (const part of ['Means', 'By itself', 'Do', 'Do not']) {
        assert.match(section, new RegExp(`^- \\*\\*${part}\\*\\* \\S`, 'm'), part)
      }
    })
  }

  test('names no metric that does not exist', () => {
    const named = [...text.matchAll(/\bweir_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ''))
    const others = new Set(['weir_writer', 'weir_before'])
    assert.deepEqual(
      named.filter((name) => !(name in METRICS) && !others.has(name)),
      [],
    )
  })

  test('names no setting that does not exist', () => {
    const { entries } = loadConfig({ folder: '/nowhere', file: null, env: {}, flags: [] })
    const keys = new Set(entries.map(({ key }) => key))
    const groups = new Set([...keys].flatMap((key) => (key.includes('.') ? [key.split('.')[0]!] : [])))
    const named = [...text.matchAll(/`([a-z]+\.[A-Za-z.]+[A-Za-z])(?:: [^`]*)?`/g)].map((match) => match[1]!)
    const settings = named.filter((name) => groups.has(name.split('.')[0]!))
    assert.ok(settings.length > 10)
    assert.deepEqual(
      settings.filter((name) => !keys.has(name)),
      [],
    )
  })

  test('explains every reason for a dead letter', () => {
    const unexplained = DEAD_LETTER_REASONS.filter((reason) => !before.includes(`\`${reason}\``))
    assert.deepEqual(unexplained, [])
  })

  test('refers to sections that are there', () => {
    const anchors = new Set([...text.matchAll(/^#{2,3} (.+)$/gm)].map((match) => anchorOf(match[1]!)))
    const linked = [...text.matchAll(/\]\(#([^)]+)\)/g)].map((match) => match[1]!)
    assert.deepEqual(
      linked.filter((anchor) => !anchors.has(anchor)),
      [],
    )
  })
})

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(' ', '-')
    .replace(/[^a-z0-9_-]/g, '')
}
