-- Roles for a ClickHouse server, to be run once by its administrator, before or after Weir made its tables:
--
--     clickhouse-client --user admin --multiquery < roles.sql
--
-- On a cluster add ON CLUSTER 'name' to every statement, and grant on weir_local what is granted on weir to weir_writer.
-- Then a user for each duty, with passwords of your own:
--
--     CREATE USER weir IDENTIFIED WITH sha256_password BY '...' DEFAULT ROLE weir_writer;
--     CREATE USER weir_reader IDENTIFIED WITH sha256_password BY '...' DEFAULT ROLE weir_desk SETTINGS PROFILE 'weir_reading';
--     CREATE USER anna IDENTIFIED WITH sha256_password BY '...' DEFAULT ROLE weir_analyst SETTINGS PROFILE 'weir_reading';
--
-- `clickhouse.user` is the first, `clickhouse.readUser` the second: the questions of `weir query`, of the desk and of the API go
-- over a connection of that user, so nothing but reading is possible however a question is put. Anna uses clients of her own.

CREATE DATABASE IF NOT EXISTS weir;

-- Makes the tables, fills them, and reads what it goes on from.
CREATE ROLE IF NOT EXISTS weir_writer;
GRANT SELECT, INSERT, CREATE TABLE, CREATE VIEW, ALTER, DROP TABLE, DROP VIEW ON weir.* TO weir_writer;

-- Reading within limits. The desk asks with limits of its own, which may be lower and never higher.
CREATE SETTINGS PROFILE IF NOT EXISTS weir_reading SETTINGS
    readonly = 2,
    allow_ddl = 0,
    max_result_rows = 10001 MAX 10001,
    result_overflow_mode = 'break',
    max_execution_time = 20 MAX 20,
    max_memory_usage = 2000000000 MAX 2000000000;

-- Works on cases: sees everything, tokens of cards included.
CREATE ROLE IF NOT EXISTS weir_desk;
GRANT SELECT ON weir.* TO weir_desk;

-- Looks at figures: no token of a card or an account, no text in which one could stand.
CREATE ROLE IF NOT EXISTS weir_analyst;
GRANT SELECT(line, index, transaction_id, event_time, kind, original_id, merchant_id, terminal_id, amount, currency, amount_base, merchant_category, channel, entry_mode, country, merchant_country, latitude, longitude, ip_prefix, bin, avs, cvv, three_ds, recurring, response_code, signals, score, threshold, verdict, rule_hits, shadow_hits, list_hits, model_version, rules_version, spec_hash, degraded, explored, scored_at) ON weir.scored_transactions TO weir_analyst;
GRANT SELECT(alert_id, open_alert_id, incident_id, line, index, transaction_id, event_time, merchant_id, ip_prefix, amount_base, score, threshold, verdict, expected_loss, reason_sources, reason_codes, reason_weights, explained, model_version, rules_version, spec_hash, scored_at) ON weir.alerts TO weir_analyst;
GRANT SELECT(line, topic_partition, topic_offset, transaction_id, merchant_id, event_time, fraud, type, source, confidence, known_at) ON weir.labels TO weir_analyst;
GRANT SELECT ON weir.known TO weir_analyst;
GRANT SELECT ON weir.declined_by_issuer TO weir_analyst;
GRANT SELECT ON weir.hourly TO weir_analyst;
GRANT SELECT ON weir.merchant_hours TO weir_analyst;
GRANT SELECT ON weir.model_hours TO weir_analyst;
GRANT SELECT ON weir.drift TO weir_analyst;

CREATE QUOTA IF NOT EXISTS weir_reading KEYED BY user_name FOR INTERVAL 1 hour MAX queries = 3600, execution_time = 3600 TO weir_desk, weir_analyst;
