import type { CheckpointMeta } from '#infra/checkpoint.ts'
import type { BrokerFacts } from '#infra/kafka/admin.ts'
import type { PartitionRange, TopicPartition } from '#infra/log/log.ts'
import type { Config } from '#schemas/config.ts'
import type { TopicRow } from '../topics.ts'
import { ageText } from './age.ts'
import { bad, type Finding, ok, warn } from './finding.ts'
import type { JournalTail } from './journal-tail.ts'

/** Checks of what the brokers told; nothing here asks anybody. */
export function checkBrokers(brokers: readonly BrokerFacts[], { kafka }: Pick<Config, 'kafka'>): Finding {
  const releases = [...new Set(brokers.map(({ release }) => release))]
  const { enabled } = kafka.tls
  const { mechanism } = kafka.sasl
  const login = mechanism === 'none' ? 'no login' : mechanism
  const shown = `${brokers.length} broker${brokers.length === 1 ? '' : 's'} (${brokers.map(({ address }) => address).join(', ')}), Kafka ${releases.join(' and ')}; ${enabled ? 'TLS' : 'plain text'}, ${login}`
  if (releases.some((release) => release.startsWith('older'))) {
    return bad(shown, 'Weir needs transactions and message format 2: use Kafka 2.1 or newer.')
  }
  if (mechanism === 'plain' && !enabled) {
    return warn(`${shown}: the password crosses the network in the clear`, 'Set kafka.tls.enabled, or use SCRAM.')
  }
  return ok(shown)
}

/** Missing, cut wrongly or compacted: it cannot run. Settings under which data can be lost: it runs. */
export function checkTopics(rows: readonly TopicRow[]): Finding {
  const troubled = rows.filter(({ problems }) => problems.length > 0)
  if (troubled.length === 0) return ok(`${rows.length} topics, as they should be`)
  const shown = troubled.map(({ topic, problems }) => `${topic} ${problems.join('; ')}`).join('\n')
  if (troubled.some(({ partitions }) => partitions === null)) {
    return bad(shown, 'Make what is missing with `weir topics create`; --dry-run says what it would make.')
  }
  if (troubled.some(({ isUnusable }) => isUnusable)) {
    return bad(shown, 'Correct the topic, or name another one in topics.*; `weir topics list` shows them all.')
  }
  return warn(shown, 'Correct the settings with your Kafka tools; what is in brackets is the value to set.')
}

export interface PositionsSeen {
  /** Of the feature spec in the settings, newest first. */
  readonly checkpoints: readonly CheckpointMeta[]
  readonly ranges: readonly PartitionRange[]
  readonly journal: string
  readonly inputs: readonly string[]
  /** Shortest retention of the topics that a restart reads, milliseconds; infinite where they keep everything. */
  readonly retentionMs: number
  readonly nowMs: number
}

/** That a start finds everything it has to read behind its checkpoint. */
export function checkPositions(seen: PositionsSeen): Finding {
  const { checkpoints, ranges, retentionMs, nowMs } = seen
  const newest = checkpoints[0]
  if (newest === undefined) return checkBeginning(seen)
  const gone = firstGone(newest, ranges)
  if (gone !== null) {
    return bad(
      `the checkpoint of line ${newest.line} cannot be used: ${gone}`,
      'Do not start this process before you have read LOG_POSITION_GONE in the RUNBOOK.',
    )
  }
  const lost = checkpoints.slice(1).filter((older) => firstGone(older, ranges) !== null)
  if (lost.length > 0) {
    return warn(
      `the log reaches back to the newest checkpoint only, not to ${lost.length} older one${lost.length === 1 ? '' : 's'}`,
      "Raise the topics' retention (retention.ms, retention.bytes): it must reach behind the oldest checkpoint.",
    )
  }
  const oldestMs = nowMs - checkpoints.at(-1)!.clock
  const reach = `the log reaches behind all ${checkpoints.length} checkpoints; the oldest is ${ageText(oldestMs)} old`
  if (oldestMs > retentionMs / 2) {
    return warn(
      `${reach}, and topics are kept ${ageText(retentionMs)}`,
      'Start the process, so that it writes newer checkpoints, or raise the retention.',
    )
  }
  return ok(reach)
}

/** Without a checkpoint the journal is folded from its first line. */
function checkBeginning({ ranges, journal, inputs }: PositionsSeen): Finding {
  const begun = ranges.find(({ topic }) => topic === journal)
  if (begun === undefined || begun.end === 0) return ok('nothing was decided yet')
  const cut = ranges.find(({ topic, start }) => (topic === journal || inputs.includes(topic)) && start > 0)
  if (cut === undefined)
    return ok('no checkpoint here; the log is whole from its beginning, so a start folds all of it')
  return bad(
    `no checkpoint here, and ${nameOf(cut)} begins at offset ${cut.start}: the state cannot be folded from the beginning`,
    'Copy the newest file of the checkpoints folder of another process of the role, then start (RUNBOOK: Adding a standby).',
  )
}

function firstGone({ positions }: CheckpointMeta, ranges: readonly PartitionRange[]): string | null {
  for (const position of positions) {
    const range = ranges.find(({ topic, partition }) => topic === position.topic && partition === position.partition)
    const name = nameOf(position)
    if (range === undefined) return `${name} is not there any more`
    if (position.offset < range.start)
      return `it goes on at offset ${position.offset} of ${name}, which begins at ${range.start}`
    if (position.offset > range.end)
      return `it goes on at offset ${position.offset} of ${name}, which ends at ${range.end}: the topic was made anew`
  }
  return null
}

const nameOf = ({ topic, partition }: TopicPartition): string => `${topic}/${partition}`

export function checkRole(tail: JournalTail | null, { kafka }: Pick<Config, 'kafka'>, nowMs: number): Finding {
  const { role, heartbeatMs, takeoverAfterMs } = kafka
  if (heartbeatMs * HEARTBEATS_MIN > takeoverAfterMs) {
    return warn(
      `a sign of life every ${heartbeatMs} ms, and a standby takes over after ${takeoverAfterMs} ms: a short pause looks like an end`,
      `Set kafka.heartbeatMs to ${Math.floor(takeoverAfterMs / HEARTBEATS_MIN)} or less.`,
    )
  }
  if (tail === null) return ok(`role ${role}: nothing was decided yet`)
  const { line, term, owner, isAlive, clockMs } = tail
  if (owner === null) {
    return warn(
      `role ${role}: nobody is active since term ${term} was given up at line ${line}, ${ageText(nowMs - clockMs)} ago`,
      'Start `weir run`.',
    )
  }
  if (isAlive) return ok(`role ${role}: ${owner} is active in term ${term}, line ${line}`)
  return warn(
    `role ${role}: ${owner} took term ${term} and is silent; its last line, ${line}, is ${ageText(nowMs - clockMs)} old`,
    'Look at its log and whether it runs. A standby takes over by itself; with none, start `weir run`.',
  )
}

/** Signs of life that must be missing before a standby acts. */
const HEARTBEATS_MIN = 5

/** The active process stamps its lines; what arrives with a stamp far from this clock was stamped by another clock. */
export function checkSharedClock(tail: JournalTail | null, ofMachine: Finding): Finding {
  const aheadMs = tail?.clockAheadMs ?? null
  if (ofMachine.status !== 'ok' || aheadMs === null) return ofMachine
  if (aheadMs >= -CLOCK_MS_MAX && aheadMs <= CLOCK_MS_MAX + ARRIVAL_MS_MAX) {
    return ok(`${ofMachine.detail}; agrees with that of the active process`)
  }
  const side = aheadMs > 0 ? 'ahead of' : 'behind'
  return warn(
    `${ofMachine.detail}: ${ageText(Math.abs(aheadMs))} ${side} the clock of the active process`,
    'Synchronise the clocks (chrony, systemd-timesyncd): after a take-over the journal goes on with the later one.',
  )
}

const CLOCK_MS_MAX = 1_000
/** A line may be on its way for so long. */
const ARRIVAL_MS_MAX = 1_000
