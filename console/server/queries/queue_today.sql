-- title: Open alerts of the newest day, most to lose first
-- describe: One line for each open alert: hits, money at stake, strongest reasons. Alerts with a verdict are left out.
-- param days: UInt32 = 1 | How many days back from the newest event
-- param rows: UInt32 = 50 | How many alerts
WITH (SELECT max(event_time) FROM weir.alerts) AS newest
SELECT
    a.open_alert_id AS alert_id,
    any(a.card_id) AS card_id,
    count() AS hits,
    round(sum(a.amount_base) / 100, 2) AS amount,
    round(max(a.expected_loss) / 100, 2) AS expected_loss,
    max(a.score) AS score,
    any(a.incident_id) AS incident_id,
    arrayDistinct(arrayFlatten(groupArray(a.reason_texts))) AS reasons,
    min(a.event_time) AS since
FROM (SELECT * FROM weir.alerts ORDER BY line, index LIMIT 1 BY alert_id) AS a
WHERE a.event_time > newest - toIntervalDay({days:UInt32})
  AND a.transaction_id NOT IN (SELECT transaction_id FROM weir.labels WHERE source = 'verdict')
GROUP BY a.open_alert_id
ORDER BY expected_loss DESC, alert_id
LIMIT {rows:UInt32}
