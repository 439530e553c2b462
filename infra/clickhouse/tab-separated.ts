const SPECIAL = /[\t\n\r\\\0\b\f']/

/** A text with the escapes of ClickHouse's TabSeparated; most need none. */
export function text(value: string): string {
  return SPECIAL.test(value) ? value.replace(/[\t\n\r\\\0\b\f']/g, (char) => ESCAPES[char]!) : value
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  '\\': '\\\\',
  '\0': '\\0',
  '\b': '\\b',
  '\f': '\\f',
  "'": "\\'",
}
