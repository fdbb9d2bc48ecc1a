-- What the validator found, by rule and attribute; violations first.
-- columns: rule LowCardinality(String), severity LowCardinality(String), attribute LowCardinality(String),
-- columns: spans UInt64, example String, span String, trace String, last_at DateTime64(9, 'UTC')
SELECT rule, severity, attribute, uniqExact(trace_id, span_id) AS spans, argMax(message, start_time) AS example,
    lower(hex(argMax(span_id, start_time))) AS span, lower(hex(argMax(trace_id, start_time))) AS trace,
    max(start_time) AS last_at
FROM {database}.findings
WHERE {tenant} AND $__timeFilter_ms(start_time)
GROUP BY rule, severity, attribute
ORDER BY severity = 'violation' DESC, spans DESC
LIMIT 500
