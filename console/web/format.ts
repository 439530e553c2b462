const counts = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

export const count = (value: number): string => (Math.abs(value) < 1e6 ? counts.format(value) : compact.format(value))

/** Minor units as money. */
export function money(minorUnits: number, currency: string): string {
  const format = new Intl.NumberFormat('en', { style: 'currency', currency })
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2
  const value = minorUnits / 10 ** digits
  if (Math.abs(value) < 1e5) return format.format(value)
  return new Intl.NumberFormat('en', {
    style: 'currency',
    currency,
    notation: Math.abs(value) >= 1e7 ? 'compact' : 'standard',
    maximumFractionDigits: Math.abs(value) >= 1e7 ? 2 : 0,
  }).format(value)
}

/** Share in basis points. */
export function basisPoints(part: number, whole: number): string {
  return whole === 0 ? '0 bp' : `${((part / whole) * 10_000).toFixed(1)} bp`
}

export const millis = (value: number): string => (value < 10 ? value.toFixed(1) : value.toFixed(0))

export function streamTime(epochMs: number): string {
  return epochMs === 0 ? 'no event yet' : `${new Date(epochMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

export function clockTime(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(5, 16).replace('T', ' ')
}

/** Tokens are long; their ends tell them apart. */
export const shortId = (id: string): string => (id.length <= 14 ? id : `${id.slice(0, 5)}…${id.slice(-6)}`)
