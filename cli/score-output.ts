import { ACCEPTED, type Explained, REJECTED, REPEATED } from '#pipeline/slice.ts'
import { isFlagged, type Verdict, VERDICTS } from '#schemas/decision.ts'
import { LABEL } from '#schemas/event-columns.ts'
import { WeirError } from '#schemas/errors.ts'
import { decisionJson } from './decision-json.ts'
import type { Io } from './io.ts'

/** A decision, or a record that was not accepted, as JSON. */
export interface Told {
  readonly isRejected: boolean
  readonly text: string
}

export interface ScoreCounts {
  readonly decisions: number
  readonly flagged: number
  readonly verdicts: Readonly<Partial<Record<Verdict, number>>>
  readonly rejected: number
  readonly repeated: number
}

export interface ScoreSummary extends ScoreCounts {
  /** Null: rules alone. */
  readonly model: string | null
  readonly rules: string
  readonly spec: string
}

/** Counts decisions and turns them into JSON. */
export class ScoreTally {
  private decisions = 0
  private rejected = 0
  private repeated = 0
  private readonly verdicts = new Map<Verdict, number>()

  take(slice: Explained, isFlaggedOnly: boolean): Told[] {
    const told: Told[] = []
    for (let row = 0; row < slice.count; row++) {
      const outcome = slice.outcome[row]
      if (outcome === REPEATED) this.repeated++
      if (outcome === REJECTED) {
        const { reason, field, detail } = slice.rejection[row]!
        this.rejected++
        const text = JSON.stringify({ rejected: reason, field, detail, record: slice.offset[row]! + 1 })
        told.push({ isRejected: true, text })
      }
      if (outcome !== ACCEPTED || slice.events.kind[row] === LABEL) continue
      const verdict = VERDICTS[slice.verdict[row]!]!
      this.decisions++
      this.verdicts.set(verdict, (this.verdicts.get(verdict) ?? 0) + 1)
      if (isFlaggedOnly && !isFlagged(verdict)) continue
      told.push({ isRejected: false, text: JSON.stringify(decisionJson(slice, row)) })
    }
    return told
  }

  get counts(): ScoreCounts {
    const { decisions, rejected, repeated } = this
    const verdicts = Object.fromEntries(
      VERDICTS.flatMap((verdict) => {
        const count = this.verdicts.get(verdict)
        return count === undefined ? [] : [[verdict, count]]
      }),
    )
    const flagged = [...this.verdicts].reduce((sum, [verdict, count]) => sum + (isFlagged(verdict) ? count : 0), 0)
    return { decisions, flagged, verdicts, rejected, repeated }
  }
}

/** Lines as they come, as fast as they are taken. */
export class ScoreLines {
  private readonly io: Io

  constructor(io: Io) {
    this.io = io
  }

  async add(told: readonly Told[]): Promise<void> {
    const lines = told.map(({ text }) => `${text}\n`).join('')
    if (lines !== '') await this.io.outBytes(Buffer.from(lines))
  }
}

/** One document, held back to the end: after an error that alone is what stdout gets. */
export class ScoreDocument {
  private readonly bytesMax: number
  private readonly decisions: Buffer[] = []
  private readonly rejected: Buffer[] = []
  private bytes = 0

  constructor(bytesMax = DOCUMENT_BYTES_MAX) {
    this.bytesMax = bytesMax
  }

  /** @throws WeirError USAGE when the document gets too large to hold */
  async add(told: readonly Told[]): Promise<void> {
    this.keep(
      this.decisions,
      told.filter(({ isRejected }) => !isRejected),
    )
    this.keep(
      this.rejected,
      told.filter(({ isRejected }) => isRejected),
    )
  }

  async write(io: Pick<Io, 'outBytes'>, summary: ScoreSummary): Promise<void> {
    await io.outBytes(Buffer.from('{"decisions":['))
    await writeParts(io, this.decisions)
    await io.outBytes(Buffer.from('],"rejected":['))
    await writeParts(io, this.rejected)
    await io.outBytes(Buffer.from(`],"summary":${JSON.stringify(summary)}}\n`))
  }

  private keep(parts: Buffer[], told: readonly Told[]): void {
    if (told.length === 0) return
    const part = Buffer.from(told.map(({ text }) => text).join(','))
    this.bytes += part.length
    if (this.bytes > this.bytesMax) {
      throw new WeirError('USAGE', `the decisions are more than ${this.bytesMax} bytes, too many for one document`, {
        fix: 'Leave out --json for one decision a line, or add --flagged.',
      })
    }
    parts.push(part)
  }
}

/** About 700,000 decisions. */
const DOCUMENT_BYTES_MAX = 268_435_456

async function writeParts(io: Pick<Io, 'outBytes'>, parts: readonly Buffer[]): Promise<void> {
  for (const [i, part] of parts.entries()) {
    await io.outBytes(i === 0 ? part : Buffer.concat([COMMA, part]))
  }
}

const COMMA = Buffer.from(',')

/** In one line, for stderr. */
export function summaryText({ decisions, verdicts, rejected, repeated, model, rules }: ScoreSummary): string {
  const parts = Object.entries(verdicts).map(([verdict, count]) => `${count} ${verdict}`)
  return [
    `${decisions} decisions${parts.length === 0 ? '' : ` (${parts.join(', ')})`}`,
    `${rejected} records not accepted`,
    ...(repeated === 0 ? [] : [`${repeated} repeated`]),
    `model ${model ?? 'none, rules alone'}, rules ${rules}`,
  ].join('; ')
}
