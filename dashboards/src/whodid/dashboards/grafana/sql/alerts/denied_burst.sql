-- One agent was denied again and again: the most denials that it had within any ten minutes.
-- columns: tenant LowCardinality(String), agent LowCardinality(String), denials UInt64
SELECT tenant, agent, max(so_far) AS denials
FROM (
    SELECT tenant_id AS tenant, gen_ai_agent_name AS agent,
        count() OVER (PARTITION BY tenant_id, agent ORDER BY toUnixTimestamp(start_time)
            RANGE BETWEEN 599 PRECEDING AND CURRENT ROW) AS so_far
    FROM (
        SELECT tenant_id, gen_ai_agent_name, start_time FROM {database}.spans
        WHERE {tenant} AND $__timeFilter_ms(start_time) AND gen_ai_operation_name = 'evaluate_policy'
          AND (attribution_policy_decision_outcome = 'deny' OR attribution_policy_enforcement_action = 'blocked')
        LIMIT 1 BY tenant_id, trace_id, span_id
    )
)
GROUP BY tenant, agent
