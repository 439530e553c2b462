import { existsSync, statSync } from 'node:fs'
import { createTokenizer, loadTokenKey } from '#infra/tokenizer.ts'
import { bad, type Finding, ok, warn } from './finding.ts'

export interface TokenKeySeen {
  readonly file: string
  /** Several processes must have the same key. */
  readonly isShared: boolean
  /** Something was decided already, so tokens are out. */
  readonly isBegun: boolean
}

const FINGERPRINT_DIGITS = 12
const OTHERS = 0o077

/** The fingerprint tells keys apart and is no way back to one: compare it between the processes of a role. */
export function checkTokenKey({ file, isShared, isBegun }: TokenKeySeen): Finding {
  if (!existsSync(file)) {
    if (!isShared || !isBegun) return ok('made at first start')
    return bad(
      `${file} is not there, and the journal was begun with one: a new key would give every card another token`,
      'Copy token.key of the active process, or its backup, before this process starts.',
    )
  }
  const fingerprint = createTokenizer(loadTokenKey(file)).derive('fingerprint').slice(0, FINGERPRINT_DIGITS)
  const shown = `fingerprint ${fingerprint}${isShared ? '; it must be the same in every process of the role' : ''}`
  if ((statSync(file).mode & OTHERS) === 0) return ok(shown)
  return warn(`${shown}; others may read ${file}`, `Take that right away: chmod 600 ${file}`)
}
