-- Spans with a finding of the validator over time, by rule.
-- columns: time DateTime('UTC'), rule LowCardinality(String), spans UInt64
SELECT $__timeInterval(start_time) AS time, rule, uniqExact(trace_id, span_id) AS spans
FROM {database}.findings
WHERE {tenant} AND $__timeFilter_ms(start_time)
GROUP BY time, rule
ORDER BY time, rule
