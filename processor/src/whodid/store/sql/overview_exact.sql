-- The same as `overview`, from the spans: an action counts once however many spans it has and however often they were
-- sent, and to the nanosecond of the period.
SELECT *, (start_s, -total, key) > ({after_s:Int64}, {after_total:Int64}, {after_key:String}) AS listed
FROM (
    SELECT *, toInt64(ran_count + blocked_count) AS total, toJSONString([agent, service, tool, mode, decision, enforcement]) AS key,
        sum(ran_count) OVER () AS all_ran, sum(blocked_count) OVER () AS all_blocked, sum(error_count) OVER () AS all_errors,
        sumIf(ran_count + blocked_count, unnamed) OVER () AS all_unnamed,
        row_number() OVER (ORDER BY start_s, total DESC, key) AS nth
    FROM (
        SELECT start_s, agent, service, tool, mode, decision, enforcement, unnamed,
            countIf(ran) AS ran_count, countIf(NOT ran) AS blocked_count, countIf(ran AND failed) AS error_count,
            arraySort(groupArray(5)(span)) AS spans
        FROM (
            -- One row an action: its outermost span that ran stands for it, or else the decision that held it back.
            SELECT multiIf({step:String} = 'hour', intDiv(at_s, 3600) * 3600,
                    {step:String} = 'day', intDiv(at_s, 86400) * 86400, 0) AS start_s, *
            FROM (
                SELECT toUnixTimestamp64Second(start_time) AS at_s, lower(hex(span_id)) AS span,
                    if(has({by:Array(String)}, 'agent'), gen_ai_agent_name, '') AS agent,
                    if(has({by:Array(String)}, 'service'), service_name, '') AS service,
                    if(has({by:Array(String)}, 'tool'), gen_ai_tool_name, '') AS tool,
                    if(has({by:Array(String)}, 'mode'), attribution_action_mode, '') AS mode,
                    if(has({by:Array(String)}, 'decision'), attribution_policy_decision_outcome, '') AS decision,
                    if(has({by:Array(String)}, 'enforcement'), attribution_policy_enforcement_action, '') AS enforcement,
                    gen_ai_agent_name = '' AS unnamed, gen_ai_operation_name = {operation:String} AS ran,
                    status_code = 'ERROR' AS failed
                FROM {database}.spans
                WHERE tenant_id = {tenant:String}
                  AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
                  AND (gen_ai_operation_name = {operation:String}
                       OR {operation:String} = 'execute_tool' AND gen_ai_operation_name = 'evaluate_policy'
                          AND attribution_policy_enforcement_action = 'blocked')
                  AND ({agent:String} = '' OR gen_ai_agent_name = {agent:String})
                  AND ({service:String} = '' OR service_name = {service:String})
                  AND ({tool:String} = '' OR gen_ai_tool_name = {tool:String})
                ORDER BY NOT ran, kind = 'SERVER', start_time, span_id
                -- Another operation than a tool's happens once a span, of whichever action that is.
                LIMIT 1 BY trace_id, if({operation:String} = 'execute_tool' AND attribution_action_id != '',
                    attribution_action_id, lower(hex(span_id)))
            )
        )
        GROUP BY start_s, agent, service, tool, mode, decision, enforcement, unnamed
    )
)
WHERE listed OR nth = 1
ORDER BY start_s, total DESC, key
LIMIT {limit:UInt32}
