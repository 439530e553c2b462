-- title: Fraud that became known lately and had been approved
-- describe: Transactions that nothing had flagged and whose fraud was first heard of in the newest days.
-- param days: UInt32 = 1 | How many days back from the newest label
-- param rows: UInt32 = 100 | How many transactions
WITH (SELECT max(known_at) FROM weir.labels) AS newest
SELECT
    t.transaction_id AS transaction_id,
    t.event_time AS event_time,
    k.first_fraud_at AS known_at,
    k.type AS type,
    k.source AS source,
    t.card_id AS card_id,
    t.merchant_id AS merchant_id,
    round(t.amount_base / 100, 2) AS amount,
    t.score AS score,
    t.threshold AS threshold
FROM weir.transactions AS t
INNER JOIN weir.known AS k ON k.transaction_id = t.transaction_id
WHERE k.fraud AND t.verdict = 'approve' AND k.first_fraud_at > newest - toIntervalDay({days:UInt32})
ORDER BY t.amount_base DESC, transaction_id
LIMIT {rows:UInt32}
