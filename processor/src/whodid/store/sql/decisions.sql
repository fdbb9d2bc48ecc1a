-- Decisions about actions, oldest first. A decision that no span of its own records is told from the action that
-- names its outcome.
WITH told AS (
    SELECT trace_id, attribution_policy_decision_id FROM {database}.spans
    WHERE tenant_id = {tenant:String} AND gen_ai_operation_name = 'evaluate_policy'
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
      AND ({everywhere:Bool} OR toStartOfFiveMinutes(start_time) IN {steps:Array(DateTime('UTC'))})
      AND ({id:String} = '' OR attribution_policy_decision_id = {id:String})
      AND ({outcome:String} = '' OR attribution_policy_decision_outcome = {outcome:String})
)
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent,
    toUnixTimestamp64Nano(start_time) AS start_ns, service_name, gen_ai_operation_name, gen_ai_agent_name,
    gen_ai_tool_name, attribution_principal_id, attribution_task_id, attribution_action_id, attribution_action_mode,
    attribution_action_effect, attribution_resource_id, attribution_approval_id, attribution_policy_decision_id,
    attribution_policy_decision_outcome, attribution_policy_decision_reason, attribution_policy_enforcement_action,
    attribution_policy_id, attribution_policy_version, attribution_policy_rule_id, attribution_policy_engine_name,
    attribution_policy_context_value, attribution_policy_context_hash,
    cityHash64(start_time, attribution_policy_decision_outcome, attribution_policy_enforcement_action,
        attribution_policy_context_hash, attribution_policy_context_value, attribution_action_id) AS content,
    min(content) OVER same != max(content) OVER same AS differs
FROM {database}.spans
WHERE tenant_id = {tenant:String}
  AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
  AND ({everywhere:Bool} OR toStartOfFiveMinutes(start_time) IN {steps:Array(DateTime('UTC'))})
  AND ({id:String} = '' OR attribution_policy_decision_id = {id:String})
  AND (gen_ai_operation_name = 'evaluate_policy' OR attribution_policy_decision_outcome != ''
       AND (trace_id, attribution_policy_decision_id) NOT IN (SELECT * FROM told))
  AND ({outcome:String} = '' OR attribution_policy_decision_outcome = {outcome:String})
  AND ({enforcement:String} = '' OR attribution_policy_enforcement_action = {enforcement:String})
  AND ({policy_id:String} = '' OR attribution_policy_id = {policy_id:String})
  AND ({rule:String} = '' OR attribution_policy_rule_id = {rule:String})
  AND ({agent:String} = '' OR gen_ai_agent_name = {agent:String})
  AND ({tool:String} = '' OR gen_ai_tool_name = {tool:String})
  AND ({principal:String} = '' OR attribution_principal_id = {principal:String})
  AND (start_ns, trace, span) > ({after_ns:Int64}, {after_trace:String}, {after_span:String})
WINDOW same AS (PARTITION BY trace_id, span_id)
ORDER BY start_ns, trace, span, content
LIMIT 1 BY trace, span
LIMIT {limit:UInt32}
