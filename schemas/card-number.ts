/**
 * Finds card numbers in the clear. A run of digits counts only with a known issuer range, that range's length and a
 * valid check digit: the check digit alone would call a tenth of all random digit strings a card.
 * Ranges: ISO/IEC 7812 issuer identification numbers as the schemes publish them.
 */
export interface Found {
  readonly start: number
  readonly end: number
  readonly digits: string
}

const SHORTEST = 13
const LONGEST = 19

/**
 * The first card number at or after `from`; digits may be grouped by single spaces or dashes, and other groups may stand
 * beside it (`12 4111 1111 1111 1111`). Null when there is none.
 */
export function findCardNumber(text: string, from = 0): Found | null {
  let i = from
  while (i < text.length) {
    if (!isDigit(text.charCodeAt(i))) {
      i++
      continue
    }
    const start = i
    let digits = 0
    let isGrouped = false
    let end = i
    while (i < text.length) {
      const code = text.charCodeAt(i)
      if (isDigit(code)) {
        digits++
        end = ++i
      } else if ((code === 0x20 || code === 0x2d) && i + 1 < text.length && isDigit(text.charCodeAt(i + 1))) {
        isGrouped = true
        i++
      } else {
        break
      }
    }
    if (digits < SHORTEST) continue
    const found = isGrouped ? findInGroups(text, start, end) : wholeRun(text, start, end)
    if (found !== null) return found
  }
  return null
}

function wholeRun(text: string, start: number, end: number): Found | null {
  if (end - start > LONGEST) return null
  const digits = text.slice(start, end)
  return isCardNumber(digits) ? { start, end, digits } : null
}

/** The first card number that whole neighbouring groups make, the longest one that begins there. */
function findInGroups(text: string, start: number, end: number): Found | null {
  for (let first = start; first < end; first = nextGroup(text, first, end)) {
    let found: Found | null = null
    let digits = ''
    for (let at = first; at < end && digits.length < LONGEST; ) {
      const next = nextGroup(text, at, end)
      const groupEnd = next === end ? end : next - 1
      digits += text.slice(at, groupEnd)
      if (digits.length >= SHORTEST && digits.length <= LONGEST && isCardNumber(digits)) {
        found = { start: first, end: groupEnd, digits }
      }
      at = next
    }
    if (found !== null) return found
  }
  return null
}

/** Where the group after the one at `at` begins; `end` when that was the last. */
function nextGroup(text: string, at: number, end: number): number {
  let i = at
  while (i < end && isDigit(text.charCodeAt(i))) i++
  return i === end ? end : i + 1
}

/** True for digits that are a card number: known range, its length, valid check digit. */
export function isCardNumber(digits: string): boolean {
  return hasIssuerLength(digits) && passesLuhn(digits)
}

/** Keeps the last four digits of every card number in a text; other text stays as it is. */
export function maskCardNumbers(text: string): string {
  let masked = ''
  let from = 0
  for (let found = findCardNumber(text); found !== null; found = findCardNumber(text, from)) {
    masked += `${text.slice(from, found.start)}****${found.digits.slice(-4)}`
    from = found.end
  }
  return masked + text.slice(from)
}

/** Check digit of ISO/IEC 7812-1, annex B. */
export function passesLuhn(digits: string): boolean {
  let sum = 0
  let double = false
  for (let i = digits.length - 1; i >= 0; i--) {
    let digit = digits.charCodeAt(i) - 0x30
    if (double) {
      digit *= 2
      if (digit > 9) digit -= 9
    }
    sum += digit
    double = !double
  }
  return sum % 10 === 0
}

function hasIssuerLength(digits: string): boolean {
  const n = digits.length
  const two = Number(digits.slice(0, 2))
  const three = Number(digits.slice(0, 3))
  const four = Number(digits.slice(0, 4))
  if (digits[0] === '4') return n === 13 || n === 16 || n === 19
  if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return n === 16
  if (two === 34 || two === 37) return n === 15
  if (two === 36 || two === 38 || two === 39 || (three >= 300 && three <= 305)) return n >= 14 && n <= 19
  if (four === 6011 || (three >= 644 && three <= 649) || two === 65) return n >= 16 && n <= 19
  if (four >= 3528 && four <= 3589) return n >= 16 && n <= 19
  if (two === 62 || two === 81) return n >= 16 && n <= 19
  if (two === 50 || (two >= 56 && two <= 58) || two === 67) return n === 16 || n === 18 || n === 19
  return false
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}
