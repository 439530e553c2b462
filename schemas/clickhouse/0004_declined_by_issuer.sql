-- Authorizations and verifications that the issuer declined: their own response code says so, or a later outcome does.
CREATE VIEW IF NOT EXISTS weir.declined_by_issuer AS
SELECT DISTINCT if(kind = 'outcome', original_id, transaction_id) AS transaction_id
FROM weir.scored_transactions
WHERE kind IN ('authorization', 'verification', 'outcome') AND response_code NOT IN ('', '00', '10', '85');
