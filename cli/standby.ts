import type { Log } from '#infra/log/log.ts'
import type { Logger } from '#infra/logger.ts'
import type { Codec } from '#schemas/codec.ts'
import { WeirError } from '#schemas/errors.ts'
import type { SharedLog } from './open-log.ts'
import type { Follower, Standing } from './recover.ts'

export interface StandbyDeps {
  readonly log: SharedLog
  readonly follower: Follower
  readonly logger: Logger
  /** Names this process in the journal; the same for every process on one data folder. */
  readonly owner: string
  readonly takeoverAfterMs: number
  /** From 0 to 1: standbys that wait equally long would only fence one another. */
  readonly random: () => number
  readonly now: () => number
  /** Makes ready, while there is time, what deciding will need; asked again and again. */
  readonly prepare: () => Promise<void>
  readonly betweenLines: (standing: Standing) => Promise<void> | void
}

/** Longest wait before the silence is looked at again. */
const LOOK_MS_MAX = 250

/** Follows the active process until it falls silent or gives its term up. False when the signal came first. */
export async function standBy(deps: StandbyDeps, signal: AbortSignal): Promise<boolean> {
  const { log, follower, logger, owner, takeoverAfterMs, random, now } = deps
  const patienceMs = takeoverAfterMs * (1 + 0.2 * random())
  let activeOwner: string | null = null
  let isFirst = true
  let heardAtMs = now()
  let seen = -1
  const mayTake = (): boolean =>
    activeOwner === null || activeOwner === owner || now() - heardAtMs >= patienceMs || follower.standing.nextLine === 0
  await follower.follow({
    signal,
    onTerm: (_term, taken) => {
      activeOwner = taken
      if (taken !== null && taken !== owner && !isFirst) logger.info(`${taken} is active`)
    },
    onLine: () => {
      heardAtMs = now()
    },
    betweenLines: deps.betweenLines,
    atEnd: async () => {
      // Whoever is active is cut off as well, and is the one that knows what it wrote last.
      if (log.isAway) heardAtMs = now()
      if (isFirst) {
        isFirst = false
        activeOwner ??= follower.owner
        if (!mayTake()) logger.info(`standing by; ${activeOwner ?? 'nobody'} is active`)
      }
      if (signal.aborted || mayTake()) return false
      await deps.prepare()
      const soon = new AbortController()
      const timer = setTimeout(() => soon.abort(), LOOK_MS_MAX)
      seen = await log.changed(seen, AbortSignal.any([signal, soon.signal]))
      clearTimeout(timer)
      return true
    },
  })
  return !signal.aborted
}

/**
 * Whether the journal still says that this process may write: no line of another owner's later term.
 *
 * @param from offset of the first journal record to look at
 */
export async function isStillOwner(
  log: Log,
  codec: Codec,
  journal: { readonly topic: string; readonly from: number },
  own: { readonly term: number; readonly owner: string },
): Promise<boolean> {
  const reader = log.reader({ topic: journal.topic, partition: 0, offset: journal.from })
  try {
    for (let records = await reader.read(READ_ROWS); records.length > 0; records = await reader.read(READ_ROWS)) {
      for (const { value } of records) {
        const { term, control } = codec.journalLine.decode(value!)
        if (control?.type !== 'term' || term < own.term) continue
        const { owner } = JSON.parse(control.value) as { owner: string | null }
        if (owner !== null && owner !== own.owner) return false
      }
    }
    return true
  } finally {
    reader.close()
  }
}

/**
 * Reads the own term back: the next record of the journal must be it.
 *
 * @throws WeirError LOG_FENCED when another process wrote in between
 */
export async function expectOwnTerm(
  log: Log,
  codec: Codec,
  journal: { readonly topic: string; readonly from: number },
  own: { readonly line: number; readonly term: number; readonly owner: string },
): Promise<void> {
  const reader = log.reader({ topic: journal.topic, partition: 0, offset: journal.from })
  try {
    const [record] = await reader.read(1)
    const line = record === undefined ? null : codec.journalLine.decode(record.value!)
    const owner = line?.control?.type === 'term' ? (JSON.parse(line.control.value) as { owner: string }).owner : null
    if (line !== null && line.line === own.line && line.term === own.term && owner === own.owner) return
    throw new WeirError('LOG_FENCED', 'another process wrote to the journal while this one took over', {
      where: `journal line ${own.line}, term ${own.term}`,
      fix: 'Nothing needs to be done: this process stands by again.',
    })
  } finally {
    reader.close()
  }
}

const READ_ROWS = 1_024
