-- Lists follow from the journal: every entry in force from that line on, once more at each change.
DROP VIEW IF EXISTS weir.lists_feed;
DROP TABLE IF EXISTS weir.lists;
CREATE TABLE weir.lists
(
    line UInt64,
    changed_at DateTime64(3, 'UTC'),
    list LowCardinality(String),
    field LowCardinality(String),
    value String,
    reason String,
    author String,
    expires Nullable(DateTime64(3, 'UTC'))
)
ENGINE = ReplacingMergeTree
ORDER BY (line, list, field, value)
SETTINGS non_replicated_deduplication_window = 10000;

CREATE MATERIALIZED VIEW weir.lists_feed TO weir.lists AS
SELECT
    line,
    clock AS changed_at,
    JSONExtractString(entry, 'list') AS list,
    JSONExtractString(entry, 'field') AS field,
    JSONExtractString(entry, 'value') AS value,
    JSONExtractString(entry, 'reason') AS reason,
    JSONExtractString(entry, 'author') AS author,
    parseDateTime64BestEffortOrNull(JSONExtractString(entry, 'expires'), 3, 'UTC') AS expires
FROM
(
    SELECT line, clock, arrayJoin(JSONExtractArrayRaw(value, 'entries')) AS entry
    FROM weir.control_lines
    WHERE type = 'lists'
);

-- What the journal brought before this table followed it.
INSERT INTO weir.lists
SELECT
    line,
    clock AS changed_at,
    JSONExtractString(entry, 'list') AS list,
    JSONExtractString(entry, 'field') AS field,
    JSONExtractString(entry, 'value') AS value,
    JSONExtractString(entry, 'reason') AS reason,
    JSONExtractString(entry, 'author') AS author,
    parseDateTime64BestEffortOrNull(JSONExtractString(entry, 'expires'), 3, 'UTC') AS expires
FROM
(
    SELECT line, clock, arrayJoin(JSONExtractArrayRaw(value, 'entries')) AS entry
    FROM weir.control_lines FINAL
    WHERE type = 'lists'
);

-- Entries in force now.
CREATE OR REPLACE VIEW weir.lists_now AS
SELECT list, field, value, reason, author, expires, changed_at
FROM weir.lists FINAL
WHERE line = (SELECT max(line) FROM weir.control_lines WHERE type = 'lists');

-- One row for each time that a version was registered, put in charge or gone back to.
DROP TABLE IF EXISTS weir.model_versions;
CREATE TABLE weir.model_versions
(
    id String,
    at DateTime64(3, 'UTC'),
    event LowCardinality(String),
    version String,
    previous String,
    reason String,
    spec_name LowCardinality(String),
    spec_hash String,
    manifest String
)
ENGINE = ReplacingMergeTree
ORDER BY id
SETTINGS non_replicated_deduplication_window = 10000;

-- A row is sent again with the same token until it is there, and after a restart only if its id is not.
ALTER TABLE weir.training_runs ADD COLUMN IF NOT EXISTS id String DEFAULT '';
ALTER TABLE weir.training_runs MODIFY SETTING non_replicated_deduplication_window = 10000;
ALTER TABLE weir.audit ADD COLUMN IF NOT EXISTS id String DEFAULT '';
ALTER TABLE weir.audit MODIFY SETTING non_replicated_deduplication_window = 10000;
