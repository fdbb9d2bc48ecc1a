-- What the chosen agents did last, and under which decision.
-- columns: at DateTime64(9, 'UTC'), agent LowCardinality(String), tool LowCardinality(String), resource String,
-- columns: mode LowCardinality(String), decision LowCardinality(String), principal String,
-- columns: status LowCardinality(String), action String, trace String
SELECT start_time AS at, gen_ai_agent_name AS agent, gen_ai_tool_name AS tool, attribution_resource_id AS resource,
    attribution_action_mode AS mode, attribution_policy_decision_outcome AS decision,
    attribution_principal_id AS principal, status_code AS status,
    if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS action,
    lower(hex(trace_id)) AS trace
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time)
  AND (gen_ai_operation_name = 'execute_tool'
    OR gen_ai_operation_name = 'evaluate_policy' AND attribution_policy_enforcement_action = 'blocked')
  AND $__conditionalAll(gen_ai_agent_name IN (${agent:singlequote}), $agent)
ORDER BY start_time DESC
LIMIT 1 BY trace_id, action
LIMIT 200
