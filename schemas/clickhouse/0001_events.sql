-- One row for every decided event, keyed by its place in the journal: a row sent twice is one row.
CREATE TABLE IF NOT EXISTS weir.scored_transactions
(
    line UInt64,
    `index` UInt32,
    transaction_id String,
    event_time DateTime64(3, 'UTC'),
    kind LowCardinality(String),
    original_id String,
    card_id String,
    account_id String,
    merchant_id String,
    terminal_id String,
    amount Int64,
    currency LowCardinality(String),
    amount_base Int64,
    merchant_category LowCardinality(String),
    channel LowCardinality(String),
    entry_mode LowCardinality(String),
    country LowCardinality(String),
    merchant_country LowCardinality(String),
    latitude Nullable(Float64),
    longitude Nullable(Float64),
    device_id String,
    ip_prefix String,
    email_hash String,
    bin LowCardinality(String),
    avs LowCardinality(String),
    cvv LowCardinality(String),
    three_ds LowCardinality(String),
    recurring Bool,
    response_code LowCardinality(String),
    attributes Map(LowCardinality(String), String),
    signals Map(LowCardinality(String), Float64),
    score Nullable(Float32),
    threshold Nullable(Float32),
    verdict LowCardinality(String),
    rule_hits Array(LowCardinality(String)),
    shadow_hits Array(LowCardinality(String)),
    list_hits Array(LowCardinality(String)),
    model_version LowCardinality(String),
    rules_version LowCardinality(String),
    spec_hash LowCardinality(String),
    input_hash String,
    degraded LowCardinality(String),
    explored Nullable(Float32),
    scored_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(scored_at)
ORDER BY (line, `index`)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS weir.alerts
(
    alert_id String,
    open_alert_id String,
    incident_id String,
    line UInt64,
    `index` UInt32,
    transaction_id String,
    event_time DateTime64(3, 'UTC'),
    card_id String,
    account_id String,
    merchant_id String,
    device_id String,
    ip_prefix String,
    amount_base Int64,
    score Nullable(Float32),
    threshold Nullable(Float32),
    verdict LowCardinality(String),
    expected_loss Float64,
    reason_sources Array(LowCardinality(String)),
    reason_codes Array(LowCardinality(String)),
    reason_texts Array(String),
    reason_weights Array(Float64),
    explained Bool,
    history String,
    history_length UInt8,
    current String,
    model_version LowCardinality(String),
    rules_version LowCardinality(String),
    spec_hash LowCardinality(String),
    scored_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(scored_at)
ORDER BY (line, `index`)
SETTINGS non_replicated_deduplication_window = 10000;

-- What was known when; never overwritten.
CREATE TABLE IF NOT EXISTS weir.labels
(
    line UInt64,
    topic_partition UInt32,
    topic_offset UInt64,
    transaction_id String,
    card_id String,
    merchant_id String,
    event_time DateTime64(3, 'UTC'),
    fraud Bool,
    type LowCardinality(String),
    source LowCardinality(String),
    confidence Float64,
    known_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (line, topic_partition, topic_offset)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS weir.control_lines
(
    line UInt64,
    term UInt64,
    clock DateTime64(3, 'UTC'),
    type LowCardinality(String),
    value String,
    sha256 String
)
ENGINE = ReplacingMergeTree
ORDER BY line
SETTINGS non_replicated_deduplication_window = 10000;

-- The newest row says through which journal line every table is complete.
CREATE TABLE IF NOT EXISTS weir.recorder_progress
(
    line UInt64,
    rows UInt64
)
ENGINE = ReplacingMergeTree
ORDER BY line
SETTINGS non_replicated_deduplication_window = 10000;

-- Each transaction once, by its first place in the journal.
CREATE VIEW IF NOT EXISTS weir.transactions AS
SELECT * FROM weir.scored_transactions ORDER BY line, index LIMIT 1 BY transaction_id;

-- What is known of each transaction now: the newest label wins. `first_fraud_at` is when fraud was first heard of, and
-- 1970 where it never was: how long a fraud stayed unknown is counted to there, not to the chargeback that follows.
CREATE VIEW IF NOT EXISTS weir.known AS
SELECT
    l.transaction_id AS transaction_id,
    argMax(l.fraud AND l.type != 'service_dispute', (l.known_at, l.line, l.topic_partition, l.topic_offset)) AS fraud,
    argMax(l.type, (l.known_at, l.line, l.topic_partition, l.topic_offset)) AS type,
    argMax(l.source, (l.known_at, l.line, l.topic_partition, l.topic_offset)) AS source,
    max(l.known_at) AS known_at,
    minIf(l.known_at, l.fraud AND l.type != 'service_dispute') AS first_fraud_at
FROM weir.labels AS l
GROUP BY l.transaction_id;
