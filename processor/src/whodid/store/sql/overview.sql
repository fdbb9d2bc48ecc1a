-- How many actions, from the hourly counts: those that ran, and the decisions that held one back, which ran nowhere.
-- What a tool's server says of an action is left out: its caller says it too. What is counted OVER () is independent
-- of the page, so the first of all comes with every page.
SELECT *, (start_s, -total, key) > ({after_s:Int64}, {after_total:Int64}, {after_key:String}) AS listed
FROM (
    SELECT *, toInt64(ran_count + blocked_count) AS total, toJSONString([agent, service, tool, mode, decision, enforcement]) AS key,
        sum(ran_count) OVER () AS all_ran, sum(blocked_count) OVER () AS all_blocked, sum(error_count) OVER () AS all_errors,
        sumIf(ran_count + blocked_count, unnamed) OVER () AS all_unnamed,
        row_number() OVER (ORDER BY start_s, total DESC, key) AS nth
    FROM (
        SELECT multiIf({step:String} = 'hour', toUnixTimestamp64Second(hour),
                {step:String} = 'day', intDiv(toUnixTimestamp64Second(hour), 86400) * 86400, 0) AS start_s,
            if(has({by:Array(String)}, 'agent'), gen_ai_agent_name, '') AS agent,
            if(has({by:Array(String)}, 'service'), service_name, '') AS service,
            if(has({by:Array(String)}, 'tool'), gen_ai_tool_name, '') AS tool,
            if(has({by:Array(String)}, 'mode'), attribution_action_mode, '') AS mode,
            if(has({by:Array(String)}, 'decision'), attribution_policy_decision_outcome, '') AS decision,
            if(has({by:Array(String)}, 'enforcement'), attribution_policy_enforcement_action, '') AS enforcement,
            gen_ai_agent_name = '' AS unnamed,
            sumIf(actions, gen_ai_operation_name = {operation:String}) AS ran_count,
            sumIf(actions, gen_ai_operation_name != {operation:String}) AS blocked_count,
            sumIf(errors, gen_ai_operation_name = {operation:String}) AS error_count,
            [] :: Array(String) AS spans
        FROM {database}.actions_hourly
        WHERE tenant_id = {tenant:String}
          AND hour >= {since:DateTime64(9,'UTC')} AND hour < {until:DateTime64(9,'UTC')}
          AND kind != 'SERVER'
          AND (gen_ai_operation_name = {operation:String}
               OR {operation:String} = 'execute_tool' AND gen_ai_operation_name = 'evaluate_policy'
                  AND attribution_policy_enforcement_action = 'blocked')
          AND ({agent:String} = '' OR gen_ai_agent_name = {agent:String})
          AND ({service:String} = '' OR service_name = {service:String})
          AND ({tool:String} = '' OR gen_ai_tool_name = {tool:String})
        GROUP BY start_s, agent, service, tool, mode, decision, enforcement, unnamed
    )
)
WHERE listed OR nth = 1
ORDER BY start_s, total DESC, key
LIMIT {limit:UInt32}
