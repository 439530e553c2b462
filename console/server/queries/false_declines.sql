-- title: Declined but genuine
-- describe: Transactions that were declined or held and that an analyst or the issuer found genuine.
-- param days: UInt32 = 30 | How many days back from the newest event
-- param rows: UInt32 = 100 | How many transactions
WITH (SELECT max(event_time) FROM weir.scored_transactions) AS newest
SELECT
    t.transaction_id AS transaction_id,
    t.event_time AS event_time,
    t.verdict AS verdict,
    round(t.amount_base / 100, 2) AS amount,
    t.score AS score,
    t.rule_hits AS rule_hits,
    t.list_hits AS list_hits,
    k.source AS source
FROM weir.transactions AS t
INNER JOIN weir.known AS k ON k.transaction_id = t.transaction_id
WHERE NOT k.fraud AND t.verdict IN ('decline', 'hold', 'challenge') AND t.event_time > newest - toIntervalDay({days:UInt32})
ORDER BY t.amount_base DESC, transaction_id
LIMIT {rows:UInt32}
