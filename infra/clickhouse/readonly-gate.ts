import { WeirError } from '#schemas/errors.ts'

/** How a statement may begin. */
const FIRST_WORDS = ['SELECT', 'WITH', 'SHOW', 'DESCRIBE', 'DESC', 'EXISTS']

/**
 * Functions that reach past the tables, as functions and as tables. `readonly = 1` alone is not enough: the embedded
 * engine still runs the scalar `file('/etc/passwd')`, reads files and addresses to describe them, and writes INTO OUTFILE.
 */
const REACHING_OUT =
  /^(file|filesystem|url|s3|gcs|oss|cosn|hdfs|azureblobstorage|remote|remotesecure|cluster|clusterallreplicas|mysql|postgresql|mongodb|redis|sqlite|jdbc|odbc|executable|input|eval|python|loop|ytsaurus|dictionary|catboostevaluate|getserversetting|showcertificate|addressto\w+|prometheus\w*|arrow\w*|\w+cluster|iceberg\w*|deltalake\w*|hudi\w*|paimon\w*|ai(classify|embed|extract|generate|translate))$/i

/**
 * Refuses what is not one reading statement over tables. The second belt behind the engine's own read-only mode.
 *
 * @throws WeirError QUERY_INVALID
 */
export function checkReadonly(sql: string): void {
  const tokens = tokensOf(sql)
  while (tokens.at(-1)?.text === ';') tokens.pop()
  const first = tokens.find(({ text }) => text !== '(')
  if (first === undefined || !FIRST_WORDS.includes(first.text.toUpperCase())) {
    throw refusal('a query begins with SELECT, WITH, SHOW, DESCRIBE or EXISTS', 'Only reading is possible here.')
  }
  for (const [i, { text, kind }] of tokens.entries()) {
    const next = tokens[i + 1]
    if (text === ';') throw refusal('one statement at a time', 'Leave out what follows the semicolon.')
    if (kind === 'quoted' && next?.text === '(')
      throw refusal('a function is named without quotes', `Write ${text}(...).`)
    if (kind === 'other' && !/^[\x20-\x7e]$/.test(text)) {
      throw refusal('there is a character outside of ASCII that stands in no text', 'Use plain quotes and spaces.')
    }
    if (text === '$' && kind === 'other') throw refusal('texts are written in single quotes', 'Leave out the $.')
    if (kind === 'name' && next?.text === '(' && REACHING_OUT.test(text)) {
      throw refusal(`${text}() is not available to queries`, 'Queries read the tables of weir only.')
    }
    if (kind === 'name' && /^outfile$/i.test(text) && /^into$/i.test(tokens[i - 1]?.text ?? '')) {
      throw refusal('INTO OUTFILE is not available to queries', 'Take the answer with --json.')
    }
    if (kind === 'name' && /^format$/i.test(text) && next?.kind === 'name') {
      throw refusal('the format of the answer is not chosen in the query', 'Leave out FORMAT.')
    }
  }
}

interface Token {
  readonly kind: 'name' | 'quoted' | 'other'
  /** Without quotes. */
  readonly text: string
}

/** Comments and strings fall away. What this reads differently from the engine's own lexer must end in a refusal. */
function tokensOf(sql: string): Token[] {
  const tokens: Token[] = []
  const pattern =
    /--[^\n]*|#[ !][^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^'\\]|\\[\s\S]|'')*'?|"((?:[^"\\]|\\[\s\S]|"")*)"?|`((?:[^`\\]|\\[\s\S]|``)*)`?|([A-Za-z_0-9][A-Za-z_0-9]*)|([^\s])/gu
  for (const [, double, back, word, other] of sql.matchAll(pattern)) {
    const quoted = double ?? back
    if (quoted !== undefined) tokens.push({ kind: 'quoted', text: quoted })
    else if (word !== undefined) tokens.push({ kind: 'name', text: word })
    else if (other !== undefined) tokens.push({ kind: 'other', text: other })
  }
  return tokens
}

function refusal(message: string, fix: string): WeirError {
  return new WeirError('QUERY_INVALID', message, { fix })
}
