/** The journal: one topic, one partition. It says what was taken from the input, in which order and at which clock. */
export interface Piece {
  readonly topic: string
  readonly partition: number
  readonly first: number
  readonly last: number
  /** Records accepted: `last - first + 1` less rejected and repeated. */
  readonly count: number
  readonly rejected: readonly number[]
  readonly repeated: readonly number[]
}

export const CONTROL_TYPES = ['term', 'model', 'threshold', 'rules', 'lists', 'rates', 'overload', 'spec'] as const
export type ControlType = (typeof CONTROL_TYPES)[number]

/** A cause, other than input, that changes outcomes from the next slice on. */
export interface Control {
  readonly type: ControlType
  /** JSON, by value. */
  readonly value: string
  /** Of content kept elsewhere (a model folder); empty otherwise. */
  readonly sha256: string
}

export interface JournalLine {
  /** Dense, from 0. */
  readonly line: number
  readonly term: number
  /** The only clock the path reads, epoch milliseconds. */
  readonly clock: number
  readonly pieces: readonly Piece[]
  readonly control: Control | null
  /** Alerts committed with it; null in lines that do not say. */
  readonly alerts: number | null
}
