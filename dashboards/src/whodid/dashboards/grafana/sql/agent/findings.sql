-- What the validator found in spans of the chosen agents, the newest first.
-- columns: at DateTime64(9, 'UTC'), agent String, rule LowCardinality(String),
-- columns: severity LowCardinality(String), message String, span String, trace String
SELECT f.start_time AS at, s.gen_ai_agent_name AS agent, f.rule AS rule, f.severity AS severity,
    f.message AS message, lower(hex(f.span_id)) AS span, lower(hex(f.trace_id)) AS trace
FROM (
    SELECT trace_id, span_id, start_time, rule, severity, message FROM {database}.findings
    WHERE {tenant} AND $__timeFilter_ms(start_time)
) AS f
INNER JOIN (
    SELECT trace_id, span_id, any(gen_ai_agent_name) AS gen_ai_agent_name FROM {database}.spans
    WHERE {tenant} AND $__timeFilter_ms(start_time)
      AND (trace_id, span_id) IN (
        SELECT trace_id, span_id FROM {database}.findings WHERE {tenant} AND $__timeFilter_ms(start_time))
      AND $__conditionalAll(gen_ai_agent_name IN (${agent:singlequote}), $agent)
    GROUP BY trace_id, span_id
) AS s ON f.trace_id = s.trace_id AND f.span_id = s.span_id
ORDER BY f.severity = 'violation' DESC, at DESC
LIMIT 200
