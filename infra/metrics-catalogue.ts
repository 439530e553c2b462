/** One metric: what it is called, what it means in one sentence, and the labels it may carry. */
export interface MetricEntry {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels?: readonly string[]
  /** Histograms: upper bounds in seconds. */
  readonly buckets?: readonly number[]
}

/** From a tenth of a millisecond to ten seconds, about three a decade. */
const SECONDS = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]

/** Every metric Weir gives out; a name that does not stand here cannot be counted. */
export const METRICS = {
  weir_build_info: {
    kind: 'gauge',
    help: 'Always 1; the version that runs stands in the labels.',
    labels: ['version', 'node', 'spec'],
  },
  weir_events_total: { kind: 'counter', help: 'Transactions accepted and folded.' },
  weir_labels_total: { kind: 'counter', help: 'Labels accepted and folded.' },
  weir_repeated_total: { kind: 'counter', help: 'Records dropped because their id had been accepted before.' },
  weir_dead_letters_total: { kind: 'counter', help: 'Records that could not be taken.', labels: ['reason'] },
  weir_alerts_total: {
    kind: 'counter',
    help: 'Transactions flagged, that is neither approved nor left unscored.',
    labels: ['verdict'],
  },
  weir_events_unscored_total: {
    kind: 'counter',
    help: 'Transactions that rules alone decided because the model did not answer.',
    labels: ['reason'],
  },
  weir_scorer_failures_total: { kind: 'counter', help: 'Slices for which the model failed.' },
  weir_card_numbers_replaced_total: {
    kind: 'counter',
    help: 'Card numbers in the clear that were replaced by tokens; many hits in one field may be numbers that only look like cards.',
    labels: ['field'],
  },
  weir_slice_seconds: {
    kind: 'histogram',
    help: 'Time from taking a slice to its decisions being ready.',
    buckets: SECONDS,
  },
  weir_commit_seconds: { kind: 'histogram', help: 'Time for one commit to become durable.', buckets: SECONDS },
  weir_intake_rows: { kind: 'gauge', help: 'Requests waiting to be taken into a slice.' },
  weir_active: { kind: 'gauge', help: 'Whether this process decides (1) or stands by (0).' },
  weir_journal_term: { kind: 'gauge', help: 'Term of the newest journal line; it grows with every take-over.' },
  weir_journal_line: { kind: 'gauge', help: 'Number of the newest durable journal line.' },
  weir_stream_time_seconds: { kind: 'gauge', help: 'Clock of the newest journal line, seconds since 1970.' },
  weir_log_disk_full_total: { kind: 'counter', help: 'Times the path was paused because the disk was full.' },
  weir_kafka_lag_records: {
    kind: 'gauge',
    help: 'Offsets between the stable end of a partition and what was read of it; transaction markers count too.',
    labels: ['topic', 'partition'],
  },
  weir_kafka_reconnects_total: {
    kind: 'counter',
    help: 'Connections to Kafka brokers that were lost and made anew.',
    labels: ['duty'],
  },
  weir_kafka_append_retries_total: {
    kind: 'counter',
    help: 'Appends to Kafka that did not work at once; their bytes are kept and tried again.',
  },
  weir_kafka_reader_restarts_total: {
    kind: 'counter',
    help: 'Readers of Kafka that were silently stuck and got a new connection.',
  },
  weir_state_bytes: { kind: 'gauge', help: 'Memory of the folded state.' },
  weir_state_entities: { kind: 'gauge', help: 'Cards, merchants and other entities in the state.' },
  weir_state_tiled_entities: {
    kind: 'gauge',
    help: 'Entities so busy that their windows are kept by the minute.',
  },
  weir_checkpoint_age_seconds: { kind: 'gauge', help: 'Age of the newest complete checkpoint.' },
  weir_checkpoint_failures_total: { kind: 'counter', help: 'Checkpoints that could not be written.' },
  weir_recorder_rows_total: { kind: 'counter', help: 'Rows written to ClickHouse.' },
  weir_recorder_retries_total: {
    kind: 'counter',
    help: 'Blocks that ClickHouse did not take at once; each is sent again.',
  },
  weir_recorder_complete_line: {
    kind: 'gauge',
    help: 'Newest journal line up to which ClickHouse holds everything; behind weir_journal_line by what it lags.',
  },
  weir_threshold: { kind: 'gauge', help: 'Review threshold in force.' },
  weir_model_info: {
    kind: 'gauge',
    help: 'Always 1; the model in charge and what it runs on stand in the labels.',
    labels: ['version', 'provider'],
  },
  weir_rule_hits_total: {
    kind: 'counter',
    help: 'Transactions on which a rule matched; one in shadow decides nothing.',
    labels: ['rule', 'mode'],
  },
  weir_rule_unknown_total: {
    kind: 'counter',
    help: 'Transactions on which a rule could not be told, since a number it needs was missing.',
    labels: ['rule', 'mode'],
  },
  weir_rule_state: {
    kind: 'gauge',
    help: 'Is 1 for the state that a rule is in, 0 for the others: live, warming until its counters have seen a whole window, expired, or skipped since the feature spec lacks what it needs.',
    labels: ['rule', 'state'],
  },
  weir_rules_info: { kind: 'gauge', help: 'Always 1; the rules in force stand in the label.', labels: ['version'] },
} as const satisfies Readonly<Record<string, MetricEntry>>
