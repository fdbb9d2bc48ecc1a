-- Denials and what was held back, the newest first.
-- columns: at DateTime64(9, 'UTC'), agent LowCardinality(String), tool LowCardinality(String), resource String,
-- columns: principal String, rule LowCardinality(String), reason String, enforcement LowCardinality(String),
-- columns: action String, trace String
SELECT start_time AS at, gen_ai_agent_name AS agent, gen_ai_tool_name AS tool, attribution_resource_id AS resource,
    attribution_principal_id AS principal, attribution_policy_rule_id AS rule,
    attribution_policy_decision_reason AS reason, attribution_policy_enforcement_action AS enforcement,
    if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS action,
    lower(hex(trace_id)) AS trace
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time) AND gen_ai_operation_name = 'evaluate_policy'
  AND (attribution_policy_decision_outcome = 'deny' OR attribution_policy_enforcement_action = 'blocked')
ORDER BY start_time DESC
LIMIT 1 BY trace_id, span_id
LIMIT 200
