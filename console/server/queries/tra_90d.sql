-- title: Remote-card fraud rate for transaction risk analysis
-- describe: Value of fraudulent remote card payments over the value of all of them, over rolling 90 days, as the PSD2 technical standards define the reference rate.
-- param days: UInt32 = 90 | Length of the rolling window
WITH (SELECT max(event_time) FROM weir.scored_transactions) AS newest
SELECT
    min(t.event_time) AS since,
    max(t.event_time) AS until,
    count() AS payments,
    round(sum(t.amount_base) / 100, 2) AS amount,
    countIf(k.fraud) AS frauds,
    round(sumIf(t.amount_base, k.fraud) / 100, 2) AS fraud_amount,
    round(100 * sumIf(t.amount_base, k.fraud) / sum(t.amount_base), 4) AS fraud_percent,
    multiIf(fraud_percent <= 0.01, 500, fraud_percent <= 0.06, 250, fraud_percent <= 0.13, 100, 0) AS exempt_up_to_eur
FROM weir.transactions AS t
LEFT JOIN weir.known AS k ON k.transaction_id = t.transaction_id
WHERE t.kind = 'authorization' AND t.channel = 'ECOM' AND t.verdict NOT IN ('decline', 'hold')
  AND t.transaction_id NOT IN (SELECT transaction_id FROM weir.declined_by_issuer)
  AND t.event_time > newest - toIntervalDay({days:UInt32})
