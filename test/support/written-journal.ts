import type { Log, RecordToAppend } from '#infra/log/log.ts'
import { DEFAULT_TOPICS } from '#pipeline/topics.ts'
import type { Control, Piece } from '#schemas/journal.ts'
import { alertOf, decisionOf } from './decisions.ts'
import { labelOf, testCodec } from './transactions.ts'

const { transactions, labels, decisions, alerts, journal } = DEFAULT_TOPICS
const codec = testCodec()

export interface Commit {
  readonly decisions?: number
  readonly alerts?: number
  readonly labels?: number
  readonly control?: Control
  /** Milliseconds that the journal's clock moves on. */
  readonly ticksMs?: number
  /** False: the line does not say how many alerts there are. */
  readonly saysAlerts?: boolean
}

/** What the path would commit, one line after the other. */
export interface WrittenLine {
  readonly line: number
  readonly labels: readonly RecordToAppend[]
  readonly decisions: readonly RecordToAppend[]
  readonly alerts: readonly RecordToAppend[]
  readonly journal: RecordToAppend
}

/** Makes lines as the path commits them: places of decisions leave some out, as rejected events do. */
export class JournalMaker {
  lastLine = -1
  private clock = Date.UTC(2026, 0, 15, 12)
  private labelOffset: number
  private transactionOffset = 0

  constructor({ labelOffset = 0 }: { readonly labelOffset?: number } = {}) {
    this.labelOffset = labelOffset
  }

  next(what: Commit): WrittenLine {
    const line = ++this.lastLine
    this.clock += what.ticksMs ?? 10
    const [decided, alerted, heard] = [what.decisions ?? 0, what.alerts ?? 0, what.labels ?? 0]
    const pieces: Piece[] = []
    if (heard > 0) pieces.push(pieceOf(labels, this.labelOffset, heard))
    if (decided > 0) pieces.push(pieceOf(transactions, this.transactionOffset, decided))
    const written = {
      labels: times(heard, (i) =>
        recordOf(labels, codec.label.encode(labelOf({ transaction_id: `label-${this.labelOffset + i}` }))),
      ),
      decisions: times(decided, (i) => {
        const place = { line, index: i * 2 }
        return recordOf(decisions, codec.decision.encode(decisionOf(place, { transaction_id: `t-${line}-${i}` })))
      }),
      alerts: times(alerted, (i) =>
        recordOf(alerts, codec.alert.encode(alertOf({ line, index: i * 2, alert_id: `${line}-${i}` }))),
      ),
    }
    this.labelOffset += heard
    this.transactionOffset += decided
    const { clock } = this
    const said = what.saysAlerts === false ? null : alerted
    const value = codec.journalLine.encode({
      line,
      term: 1,
      clock,
      pieces,
      control: what.control ?? null,
      alerts: said,
    })
    return { line, ...written, journal: recordOf(journal, value) }
  }
}

/** As one unit. */
export async function appendLine(log: Log, line: WrittenLine): Promise<void> {
  await log.append([...line.labels, ...line.decisions, ...line.alerts, line.journal])
}

function recordOf(topic: string, value: Buffer): RecordToAppend {
  return { topic, partition: 0, key: null, value }
}

function pieceOf(topic: string, first: number, count: number): Piece {
  return { topic, partition: 0, first, last: first + count - 1, count, rejected: [], repeated: [] }
}

function times<T>(count: number, make: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => make(i))
}
