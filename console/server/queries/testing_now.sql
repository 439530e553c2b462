-- title: Card testing under way
-- describe: Merchants with many cards, declines and tiny amounts within ten minutes.
-- param hours: UInt32 = 24 | How many hours back from the newest event
-- param cards: UInt32 = 10 | At least so many cards in ten minutes
WITH (SELECT max(event_time) FROM weir.scored_transactions) AS newest
SELECT
    t.merchant_id AS merchant_id,
    toStartOfTenMinutes(t.event_time) AS ten_minutes,
    uniqExact(t.card_id) AS cards,
    count() AS attempts,
    round(countIf(t.verdict = 'decline' OR t.transaction_id IN (SELECT transaction_id FROM weir.declined_by_issuer)) / count(), 3) AS declined_share,
    round(countIf(t.amount_base <= 200) / count(), 3) AS tiny_share,
    arraySlice(arraySort(groupUniqArrayIf(t.bin, t.bin != '')), 1, 5) AS bins
FROM weir.transactions AS t
WHERE t.kind IN ('authorization', 'verification') AND t.merchant_id != ''
  AND t.event_time > newest - toIntervalHour({hours:UInt32})
GROUP BY merchant_id, ten_minutes
HAVING cards >= {cards:UInt32} AND (declined_share > 0.3 OR tiny_share > 0.5)
ORDER BY cards DESC, merchant_id, ten_minutes
