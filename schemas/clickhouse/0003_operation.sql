-- What the people and jobs around the path did.
CREATE TABLE IF NOT EXISTS weir.lists
(
    changed_at DateTime64(3, 'UTC'),
    list LowCardinality(String),
    field LowCardinality(String),
    value String,
    active Bool,
    reason String,
    author String,
    expires Nullable(DateTime64(3, 'UTC'))
)
ENGINE = MergeTree
ORDER BY (list, field, value, changed_at);

CREATE TABLE IF NOT EXISTS weir.model_versions
(
    at DateTime64(3, 'UTC'),
    version String,
    spec_hash String,
    manifest String
)
ENGINE = ReplacingMergeTree
ORDER BY version;

CREATE TABLE IF NOT EXISTS weir.training_runs
(
    at DateTime64(3, 'UTC'),
    version String,
    outcome LowCardinality(String),
    reason String,
    figures String
)
ENGINE = MergeTree
ORDER BY at;

CREATE TABLE IF NOT EXISTS weir.drift
(
    at DateTime64(3, 'UTC'),
    model_version LowCardinality(String),
    column LowCardinality(String),
    distance Float64
)
ENGINE = MergeTree
ORDER BY (model_version, column, at);

CREATE TABLE IF NOT EXISTS weir.audit
(
    at DateTime64(3, 'UTC'),
    who String,
    what LowCardinality(String),
    detail String
)
ENGINE = MergeTree
ORDER BY at;
