-- title: Card testing under way
-- describe: Merchants with many cards, declines and tiny amounts within ten minutes.
-- param hours: UInt32 = 24 | How many hours back from the newest event
-- param cards: UInt32 = 10 | At least so many cards in ten minutes
WITH (SELECT max(event_time) FROM weir.scored_transactions) AS newest
SELECT
    t.merchant_id AS merchant_id,
    toStartOfTenMinutes(t.event_time) AS ten_minutes,
    uniqExact(t.card_id) AS cards,
    countIf(t.kind = 'authorization') AS attempts,
    round(countIf(t.kind = 'outcome' AND t.response_code NOT IN ('', '00')) / countIf(t.kind = 'authorization'), 3) AS declined_share,
    round(countIf(t.kind = 'authorization' AND t.amount_base <= 200) / countIf(t.kind = 'authorization'), 3) AS tiny_share,
    arraySlice(groupUniqArray(t.bin), 1, 5) AS bins
FROM weir.transactions AS t
WHERE t.event_time > newest - toIntervalHour({hours:UInt32}) AND t.merchant_id != ''
GROUP BY merchant_id, ten_minutes
HAVING cards >= {cards:UInt32} AND attempts > 0 AND (declined_share > 0.3 OR tiny_share > 0.5)
ORDER BY cards DESC, merchant_id
