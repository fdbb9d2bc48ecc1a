-- What the chosen agents reached, and with which effect.
-- columns: resource String, type LowCardinality(String), effect LowCardinality(String), tool LowCardinality(String),
-- columns: actions UInt64, last_seen DateTime64(9, 'UTC')
SELECT attribution_resource_id AS resource, attribution_resource_type AS type,
    attribution_action_effect AS effect, gen_ai_tool_name AS tool, count() AS actions,
    max(start_time) AS last_seen
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time) AND gen_ai_operation_name = 'execute_tool' AND kind != 'SERVER'
  AND $__conditionalAll(gen_ai_agent_name IN (${agent:singlequote}), $agent)
GROUP BY resource, type, effect, tool
ORDER BY actions DESC
LIMIT 200
