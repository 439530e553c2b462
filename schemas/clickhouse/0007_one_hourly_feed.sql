-- Each target of a materialized view gets a part of its own with every insert, a dozen files. So there is one, from which
-- the figures of merchants and of models both follow. A card or a device has one event in most of its hours: tables of them
-- would be about as large as what they sum up, so their figures are summed when somebody asks.
DROP VIEW IF EXISTS weir.merchant_hours_feed;
DROP VIEW IF EXISTS weir.device_hours_feed;
DROP VIEW IF EXISTS weir.card_hours_feed;
DROP VIEW IF EXISTS weir.model_hours_feed;
DROP VIEW IF EXISTS weir.hourly_feed;
DROP TABLE IF EXISTS weir.merchant_hours;
DROP TABLE IF EXISTS weir.device_hours;
DROP TABLE IF EXISTS weir.card_hours;
DROP TABLE IF EXISTS weir.model_hours;
DROP TABLE IF EXISTS weir.hourly;

-- Parts below this size are one file of data rather than three for each column.
ALTER TABLE weir.scored_transactions MODIFY SETTING min_bytes_for_wide_part = 268435456;

CREATE TABLE weir.hourly
(
    hour DateTime('UTC'),
    merchant_id String,
    model_version LowCardinality(String),
    kind LowCardinality(String),
    events UInt64,
    scored UInt64,
    flagged UInt64,
    small UInt64,
    score_sum Float64,
    amount_base Int64,
    amount_scored Int64,
    amount_flagged Int64
)
ENGINE = SummingMergeTree
ORDER BY (merchant_id, model_version, kind, hour)
SETTINGS non_replicated_deduplication_window = 10000;

-- What came before the feed.
INSERT INTO weir.hourly
SELECT
    toStartOfHour(event_time) AS hour,
    merchant_id,
    model_version,
    kind,
    count() AS events,
    countIf(verdict != 'none') AS scored,
    countIf(verdict NOT IN ('none', 'approve')) AS flagged,
    countIf(t.amount_base < 500) AS small,
    sumIf(ifNull(score, 0), verdict != 'none') AS score_sum,
    sum(t.amount_base) AS amount_base,
    sumIf(t.amount_base, verdict != 'none') AS amount_scored,
    sumIf(t.amount_base, verdict NOT IN ('none', 'approve')) AS amount_flagged
FROM weir.scored_transactions AS t FINAL
GROUP BY hour, merchant_id, model_version, kind;

CREATE MATERIALIZED VIEW weir.hourly_feed TO weir.hourly AS
SELECT
    toStartOfHour(event_time) AS hour,
    merchant_id,
    model_version,
    kind,
    count() AS events,
    countIf(verdict != 'none') AS scored,
    countIf(verdict NOT IN ('none', 'approve')) AS flagged,
    countIf(t.amount_base < 500) AS small,
    sumIf(ifNull(score, 0), verdict != 'none') AS score_sum,
    sum(t.amount_base) AS amount_base,
    sumIf(t.amount_base, verdict != 'none') AS amount_scored,
    sumIf(t.amount_base, verdict NOT IN ('none', 'approve')) AS amount_flagged
FROM weir.scored_transactions AS t
GROUP BY hour, merchant_id, model_version, kind;

CREATE OR REPLACE VIEW weir.merchant_hours AS
SELECT
    hour,
    merchant_id,
    sum(h.events) AS events,
    sum(h.amount_base) AS amount_base,
    sum(h.flagged) AS flagged,
    sum(h.small) AS small
FROM weir.hourly AS h
WHERE kind = 'authorization' AND merchant_id != ''
GROUP BY hour, merchant_id;

CREATE OR REPLACE VIEW weir.model_hours AS
SELECT
    hour,
    model_version,
    sum(h.scored) AS events,
    sum(h.score_sum) AS score_sum,
    sum(h.flagged) AS flagged,
    sum(h.amount_scored) AS amount_base,
    sum(h.amount_flagged) AS amount_flagged
FROM weir.hourly AS h
GROUP BY hour, model_version
HAVING events > 0;

CREATE OR REPLACE VIEW weir.device_hours AS
SELECT
    toStartOfHour(event_time) AS hour,
    device_id,
    count() AS events,
    sum(t.amount_base) AS amount_base,
    countIf(verdict NOT IN ('none', 'approve')) AS flagged
FROM weir.scored_transactions AS t FINAL
WHERE kind = 'authorization' AND device_id != ''
GROUP BY hour, device_id;

CREATE OR REPLACE VIEW weir.card_hours AS
SELECT
    toStartOfHour(event_time) AS hour,
    card_id,
    count() AS events,
    sum(t.amount_base) AS amount_base,
    countIf(verdict NOT IN ('none', 'approve')) AS flagged
FROM weir.scored_transactions AS t FINAL
WHERE kind = 'authorization'
GROUP BY hour, card_id;
