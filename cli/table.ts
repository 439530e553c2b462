/** Rows in aligned columns; numbers to the right. Values longer than `cellMax` are cut. */
export function formatTable(columns: readonly string[], rows: readonly (readonly unknown[])[], cellMax = 60): string {
  const cells = rows.map((row) => columns.map((_, i) => cellOf(row[i], cellMax)))
  const isNumber = columns.map(
    (_, i) => rows.length > 0 && rows.every((row) => row[i] === null || typeof row[i] === 'number'),
  )
  const widths = columns.map((column, i) => Math.max(column.length, ...cells.map((row) => row[i]!.length)))
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (isNumber[i] === true ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd()
  return [line(columns), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)]
    .map((text) => `${text}\n`)
    .join('')
}

function cellOf(value: unknown, cellMax: number): string {
  if (value === null || value === undefined) return ''
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  const oneLine = text.replace(/\s+/g, ' ')
  return oneLine.length > cellMax ? `${oneLine.slice(0, cellMax - 1)}…` : oneLine
}
