-- title: Merchants to watch
-- describe: Known fraud and flagged value by merchant, with the share of flagged events.
-- param days: UInt32 = 30 | How many days back from the newest event
-- param events: UInt32 = 5 | At least so many authorizations
-- param rows: UInt32 = 50 | How many merchants
WITH (SELECT max(event_time) FROM weir.scored_transactions) AS newest
SELECT
    t.merchant_id AS merchant_id,
    any(t.merchant_category) AS category,
    count() AS events,
    round(sum(t.amount_base) / 100, 2) AS amount,
    round(countIf(t.verdict != 'approve') / count(), 4) AS flagged_share,
    countIf(k.fraud) AS known_frauds,
    round(10000 * sumIf(t.amount_base, k.fraud) / sum(t.amount_base), 1) AS fraud_bp,
    min(t.event_time) AS first_seen
FROM weir.transactions AS t
LEFT JOIN weir.known AS k ON k.transaction_id = t.transaction_id
WHERE t.kind = 'authorization' AND t.merchant_id != '' AND t.event_time > newest - toIntervalDay({days:UInt32})
GROUP BY merchant_id
HAVING events >= {events:UInt32} AND (known_frauds > 0 OR flagged_share > 0)
ORDER BY known_frauds DESC, flagged_share DESC, merchant_id
LIMIT {rows:UInt32}
