-- Credentials that were used in this time.
-- columns: credential String
SELECT DISTINCT attribution_credential_id AS credential
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time) AND attribution_credential_id != ''
ORDER BY credential
LIMIT 1000
