-- Hourly counts of actions: those that ran, and the decisions that held one back, which ran nowhere. What a tool's
-- server says of an action is left out: its caller says it too. As the question `overview` counts.
SELECT hour, service_name AS service, gen_ai_agent_name AS agent, gen_ai_tool_name AS tool,
    attribution_action_mode AS mode, attribution_policy_decision_outcome AS decision,
    attribution_policy_enforcement_action AS enforcement, gen_ai_operation_name = 'execute_tool' AS executed,
    actions, errors
FROM {database}.actions_hourly
WHERE {tenant} AND hour >= toStartOfHour($__fromTime) AND hour <= $__toTime AND kind != 'SERVER'
  AND (gen_ai_operation_name = 'execute_tool'
    OR gen_ai_operation_name = 'evaluate_policy' AND attribution_policy_enforcement_action = 'blocked')
