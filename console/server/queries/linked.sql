-- title: One step from a card, a device or an address
-- describe: Everything that shared a device or an address with the given one, with what is known of it.
-- param entity: Enum(card_id, device_id, ip_prefix) = card_id | What the value is
-- param value: String | The card, device or address
-- param days: UInt32 = 30 | How many days back from the newest event
WITH
    (SELECT max(event_time) FROM weir.scored_transactions) AS newest,
    (
        SELECT (groupUniqArray(device_id), groupUniqArray(ip_prefix))
        FROM weir.scored_transactions
        WHERE event_time > newest - toIntervalDay({days:UInt32})
          AND multiIf({entity:String} = 'card_id', card_id, {entity:String} = 'device_id', device_id, ip_prefix) = {value:String}
    ) AS seen
SELECT
    t.card_id AS card_id,
    groupUniqArrayIf(t.device_id, t.device_id != '') AS devices,
    groupUniqArrayIf(t.ip_prefix, t.ip_prefix != '') AS addresses,
    count() AS events,
    round(sum(t.amount_base) / 100, 2) AS amount,
    countIf(t.verdict NOT IN ('none', 'approve')) AS flagged,
    countIf(k.fraud) AS known_frauds,
    max(t.event_time) AS last_seen
FROM weir.transactions AS t
LEFT JOIN weir.known AS k ON k.transaction_id = t.transaction_id
WHERE t.event_time > newest - toIntervalDay({days:UInt32})
  AND ((t.device_id != '' AND has(seen.1, t.device_id)) OR (t.ip_prefix != '' AND has(seen.2, t.ip_prefix)))
GROUP BY card_id
ORDER BY known_frauds DESC, flagged DESC, card_id
LIMIT 200
