import { InvalidArgumentError } from 'commander'

/** Parsers for option values: each takes the text and gives the value, or says what is allowed. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text.replace(/(?<=\d)_(?=\d)/g, ''))
    if (text.trim() !== '' && Number.isInteger(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(
      `It must be a whole number from ${min.toLocaleString('en')} to ${max.toLocaleString('en')}.`,
    )
  }
}

export function decimal(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() !== '' && Number.isFinite(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(
      `It must be a number from ${min.toLocaleString('en')} to ${max.toLocaleString('en')}.`,
    )
  }
}

/** A day (2026-01-31) or a moment (2026-01-31T12:00:00Z), as epoch milliseconds; without a zone it is UTC. */
export function moment(text: string): number {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text)
  const isMoment = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})?$/.test(text)
  const value =
    isDay || isMoment ? Date.parse(isDay || /(Z|[+-]\d{2}:\d{2})$/.test(text) ? text : `${text}Z`) : Number.NaN
  if (!Number.isNaN(value)) return value
  throw new InvalidArgumentError('It must be a day such as 2026-01-31, or a moment such as 2026-01-31T12:00:00Z.')
}

/** `name=value`, gathered over repeated use. */
export function pairs(text: string, previous: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=')
  if (at <= 0) throw new InvalidArgumentError('It must be NAME=VALUE.')
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) }
}
