-- On whose behalf the chosen agents acted.
-- columns: agent LowCardinality(String), principal String, type LowCardinality(String), actions UInt64,
-- columns: last_seen DateTime64(9, 'UTC')
SELECT gen_ai_agent_name AS agent,
    if(attribution_principal_id = '', '(nobody)', attribution_principal_id) AS principal,
    attribution_principal_type AS type, count() AS actions, max(start_time) AS last_seen
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time) AND gen_ai_operation_name = 'execute_tool' AND kind != 'SERVER'
  AND $__conditionalAll(gen_ai_agent_name IN (${agent:singlequote}), $agent)
GROUP BY agent, principal, type
ORDER BY actions DESC
LIMIT 200
