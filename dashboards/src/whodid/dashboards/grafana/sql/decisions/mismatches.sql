-- Spans whose claimed identity is not the one that was attested for their process, the newest first.
-- columns: at DateTime64(9, 'UTC'), claimed LowCardinality(String), attested String, agent LowCardinality(String),
-- columns: instance String, service LowCardinality(String), span String, trace String
SELECT at, claimed, attested, agent, instance, service, lower(hex(span_id)) AS span, lower(hex(trace_id)) AS trace
FROM {mismatches}
ORDER BY at DESC
LIMIT 200
