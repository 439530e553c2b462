-- Hourly figures, kept up to date by each insert. Their own deduplication windows make a block that is sent again count once.
CREATE TABLE IF NOT EXISTS weir.merchant_hours
(
    hour DateTime('UTC'),
    merchant_id String,
    events UInt64,
    amount_base Int64,
    flagged UInt64,
    small UInt64
)
ENGINE = SummingMergeTree
ORDER BY (merchant_id, hour)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS weir.merchant_hours_feed TO weir.merchant_hours AS
SELECT
    toStartOfHour(event_time) AS hour,
    merchant_id,
    count() AS events,
    sum(scored_transactions.amount_base) AS amount_base,
    countIf(verdict NOT IN ('none', 'approve')) AS flagged,
    countIf(scored_transactions.amount_base < 500) AS small
FROM weir.scored_transactions
WHERE kind = 'authorization' AND merchant_id != ''
GROUP BY hour, merchant_id;

CREATE TABLE IF NOT EXISTS weir.device_hours
(
    hour DateTime('UTC'),
    device_id String,
    events UInt64,
    amount_base Int64,
    flagged UInt64
)
ENGINE = SummingMergeTree
ORDER BY (device_id, hour)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS weir.device_hours_feed TO weir.device_hours AS
SELECT
    toStartOfHour(event_time) AS hour,
    device_id,
    count() AS events,
    sum(scored_transactions.amount_base) AS amount_base,
    countIf(verdict NOT IN ('none', 'approve')) AS flagged
FROM weir.scored_transactions
WHERE kind = 'authorization' AND device_id != ''
GROUP BY hour, device_id;

CREATE TABLE IF NOT EXISTS weir.card_hours
(
    hour DateTime('UTC'),
    card_id String,
    events UInt64,
    amount_base Int64,
    flagged UInt64
)
ENGINE = SummingMergeTree
ORDER BY (card_id, hour)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS weir.card_hours_feed TO weir.card_hours AS
SELECT
    toStartOfHour(event_time) AS hour,
    card_id,
    count() AS events,
    sum(scored_transactions.amount_base) AS amount_base,
    countIf(verdict NOT IN ('none', 'approve')) AS flagged
FROM weir.scored_transactions
WHERE kind = 'authorization'
GROUP BY hour, card_id;

CREATE TABLE IF NOT EXISTS weir.model_hours
(
    hour DateTime('UTC'),
    model_version LowCardinality(String),
    events UInt64,
    score_sum Float64,
    flagged UInt64,
    amount_base Int64,
    amount_flagged Int64
)
ENGINE = SummingMergeTree
ORDER BY (model_version, hour)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW IF NOT EXISTS weir.model_hours_feed TO weir.model_hours AS
SELECT
    toStartOfHour(event_time) AS hour,
    model_version,
    count() AS events,
    sum(ifNull(score, 0)) AS score_sum,
    countIf(verdict NOT IN ('none', 'approve')) AS flagged,
    sum(scored_transactions.amount_base) AS amount_base,
    sumIf(scored_transactions.amount_base, verdict NOT IN ('none', 'approve')) AS amount_flagged
FROM weir.scored_transactions
WHERE verdict != 'none'
GROUP BY hour, model_version;
