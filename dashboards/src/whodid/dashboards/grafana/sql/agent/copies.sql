-- The running copies of the chosen agents, with the identity that each of them claims.
-- columns: agent LowCardinality(String), instance String, identity LowCardinality(String),
-- columns: service LowCardinality(String), spans UInt64, first_seen DateTime64(9, 'UTC'),
-- columns: last_seen DateTime64(9, 'UTC')
SELECT gen_ai_agent_name AS agent, attribution_agent_instance_id AS instance,
    attribution_agent_identity_id AS identity, service_name AS service, count() AS spans,
    min(start_time) AS first_seen, max(start_time) AS last_seen
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time) AND gen_ai_agent_name != ''
  AND $__conditionalAll(gen_ai_agent_name IN (${agent:singlequote}), $agent)
GROUP BY agent, instance, identity, service
ORDER BY last_seen DESC
LIMIT 200
