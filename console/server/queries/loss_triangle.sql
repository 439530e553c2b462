-- title: Fraud in basis points by week, and how much of it was known when
-- describe: Value of known fraud over value of approved authorizations, by week of the event and weeks until it was known.
-- param weeks: UInt32 = 16 | How many weeks back from the newest event
WITH (SELECT max(event_time) FROM weir.scored_transactions) AS newest
SELECT
    toStartOfWeek(t.event_time, 1) AS week,
    round(sum(t.amount_base) / 100, 2) AS approved_value,
    round(10000 * sumIf(t.amount_base, k.fraud) / sum(t.amount_base), 2) AS fraud_bp,
    round(10000 * sumIf(t.amount_base, k.fraud AND k.first_fraud_at <= t.event_time + INTERVAL 1 WEEK) / sum(t.amount_base), 2) AS known_after_1_week_bp,
    round(10000 * sumIf(t.amount_base, k.fraud AND k.first_fraud_at <= t.event_time + INTERVAL 4 WEEK) / sum(t.amount_base), 2) AS known_after_4_weeks_bp,
    round(10000 * sumIf(t.amount_base, k.fraud AND k.first_fraud_at <= t.event_time + INTERVAL 8 WEEK) / sum(t.amount_base), 2) AS known_after_8_weeks_bp,
    dateDiff('week', week, toDate(newest)) AS weeks_old
FROM weir.transactions AS t
LEFT JOIN weir.known AS k ON k.transaction_id = t.transaction_id
WHERE t.kind = 'authorization' AND t.verdict NOT IN ('decline', 'hold')
  AND t.transaction_id NOT IN (SELECT transaction_id FROM weir.declined_by_issuer)
  AND t.event_time > newest - toIntervalWeek({weeks:UInt32})
GROUP BY week
ORDER BY week
