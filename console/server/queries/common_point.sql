-- title: Where these cards met
-- describe: Merchants shared by the given cards before their first known fraud, and how much more often than by all cards (lift).
-- param cards: Array(String) = [] | The cards; empty: all cards with a known fraud in the newest days
-- param days: UInt32 = 60 | How many days back from the newest event
-- param rows: UInt32 = 20 | How many merchants
WITH
    (SELECT max(event_time) FROM weir.scored_transactions) AS newest,
    (SELECT uniqExact(card_id) FROM weir.scored_transactions WHERE event_time > newest - toIntervalDay({days:UInt32})) AS all_cards,
    frauds AS
    (
        SELECT f.card_id AS card_id, min(f.event_time) AS since
        FROM weir.transactions AS f
        INNER JOIN weir.known AS k ON k.transaction_id = f.transaction_id
        WHERE k.fraud AND f.event_time > newest - toIntervalDay({days:UInt32})
        GROUP BY card_id
    ),
    if(empty({cards:Array(String)}), (SELECT groupArray(card_id) FROM frauds), {cards:Array(String)}) AS victims
SELECT
    t.merchant_id AS merchant_id,
    uniqExactIf(t.card_id, has(victims, t.card_id) AND (v.card_id = '' OR t.event_time < v.since)) AS shared_by,
    uniqExact(t.card_id) AS cards_seen,
    round(shared_by / length(victims) / (cards_seen / all_cards), 2) AS lift,
    min(t.event_time) AS first_seen,
    max(t.event_time) AS last_seen
FROM weir.transactions AS t
LEFT JOIN frauds AS v ON v.card_id = t.card_id
WHERE t.event_time > newest - toIntervalDay({days:UInt32}) AND t.kind = 'authorization' AND t.merchant_id != ''
GROUP BY merchant_id
HAVING shared_by >= 2
ORDER BY lift * log(1 + shared_by) DESC, merchant_id
LIMIT {rows:UInt32}
