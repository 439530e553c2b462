-- title: How each rule is doing, live and in shadow
-- describe: Hits, known fraud among them, money, and how many neither the model nor another live rule found.
-- param days: UInt32 = 30 | How many days back from the newest event
WITH (SELECT max(event_time) FROM weir.scored_transactions) AS newest
SELECT
    rule,
    mode,
    count() AS hits,
    countIf(fraud) AS known_frauds,
    round(countIf(fraud) / count(), 4) AS precision,
    round(sumIf(amount_base, fraud) / 100, 2) AS fraud_value,
    countIf(alone) AS found_by_it_alone
FROM
(
    SELECT
        arrayJoin(arrayConcat(
            arrayMap(r -> (r, 'live'), t.rule_hits),
            arrayMap(r -> (r, 'shadow'), t.shadow_hits)
        )) AS hit,
        hit.1 AS rule,
        hit.2 AS mode,
        t.amount_base AS amount_base,
        k.fraud AS fraud,
        length(t.rule_hits) = if(mode = 'live', 1, 0) AND ifNull(t.score < t.threshold, true) AS alone
    FROM weir.transactions AS t
    LEFT JOIN weir.known AS k ON k.transaction_id = t.transaction_id
    WHERE t.event_time > newest - toIntervalDay({days:UInt32})
)
GROUP BY rule, mode
ORDER BY hits DESC, rule, mode
