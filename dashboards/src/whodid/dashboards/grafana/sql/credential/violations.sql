-- Uses outside of the credential's time or for another task than it was issued for, and secrets in what was sent.
-- columns: at DateTime64(9, 'UTC'), rule LowCardinality(String), message String, span String, trace String
SELECT start_time AS at, rule, message, lower(hex(span_id)) AS span, lower(hex(trace_id)) AS trace
FROM {database}.findings
WHERE {tenant} AND $__timeFilter_ms(start_time)
  AND rule IN ('credential_not_valid', 'credential_of_other_task', 'secret_redacted')
ORDER BY at DESC
LIMIT 200
