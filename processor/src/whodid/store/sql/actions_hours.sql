-- How many spans each hour has of what is asked for, as far as the hourly counts tell: how far back a page reaches.
SELECT toUnixTimestamp64Second(hour) AS hour_s, sum(actions) AS span_count
FROM {database}.actions_hourly
WHERE tenant_id = {tenant:String}
  AND hour >= {since:DateTime64(9,'UTC')} AND hour < {until:DateTime64(9,'UTC')}
  AND (gen_ai_operation_name IN {operations:Array(String)}
       OR has({operations:Array(String)}, 'execute_tool') AND gen_ai_operation_name = 'evaluate_policy')
  AND (empty({agent:Array(String)}) OR gen_ai_agent_name IN {agent:Array(String)})
  AND (empty({tool:Array(String)}) OR gen_ai_tool_name IN {tool:Array(String)})
  AND (empty({service:Array(String)}) OR service_name IN {service:Array(String)})
  AND (empty({mode:Array(String)}) OR attribution_action_mode IN {mode:Array(String)})
  AND (empty({decision:Array(String)}) OR attribution_policy_decision_outcome IN {decision:Array(String)})
  AND (empty({enforcement:Array(String)}) OR attribution_policy_enforcement_action IN {enforcement:Array(String)})
GROUP BY hour_s
HAVING span_count > 0
ORDER BY hour_s DESC
LIMIT {limit:UInt32}
