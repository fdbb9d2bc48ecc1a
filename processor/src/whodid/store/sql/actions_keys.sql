-- Which actions there are between two times with what is asked for, newest first. An action is looked at as a whole, from
-- some minutes before and after: what one of its spans lacks, another may say. It is where its execution began, or its
-- decision, where nothing shows that it ran. Of the conditions that are not asked for nothing is left; one of those that
-- are, `driver`, says in which traces to look.
SELECT lower(hex(s.trace_id)) AS trace, key,
    toUnixTimestamp64Nano(if(countIf(s.acts) > 0, minIf(s.start_time, s.acts), min(s.start_time))) AS start_ns,
    multiIf(
        countIf(s.acts AND (s.status_code = 'ERROR' OR s.error_type != '')) > 0, 'failed', countIf(s.acts) > 0, 'succeeded',
        countIf(s.attribution_policy_enforcement_action = 'blocked') > 0, 'denied', 'not_recorded') AS became
FROM (
    SELECT trace_id, span_id, start_time, status_code, service_name, session_id, gen_ai_conversation_id,
        gen_ai_operation_name, mcp_method_name, gen_ai_agent_name, gen_ai_tool_name, gen_ai_tool_call_id, error_type,
        attribution_agent_instance_id, attribution_agent_identity_id, attribution_initiator_id,
        attribution_principal_id, attribution_task_id, attribution_action_id, attribution_action_mode,
        attribution_action_effect, attribution_policy_decision_id, attribution_policy_decision_outcome,
        attribution_policy_enforcement_action, attribution_approval_id, attribution_credential_id,
        attribution_resource_type, attribution_resource_id, attribution_correlation_id,
        gen_ai_operation_name IN {operations:Array(String)} OR mcp_method_name IN {operations:Array(String)} AS acts,
        gen_ai_operation_name IN ('execute_tool', 'evaluate_policy') OR mcp_method_name = 'tools/call' AS of_tool,
        if(of_tool AND attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key
    FROM {database}.spans
    WHERE tenant_id = {tenant:String}
      AND start_time >= {from:DateTime64(9,'UTC')} AND start_time < {to:DateTime64(9,'UTC')}
      AND ({everywhere:Bool} OR toStartOfFiveMinutes(start_time) IN (
            SELECT arrayJoin(arrayFlatten(arrayMap(step -> [step - 600, step - 300, step, step + 300, step + 600],
                {steps:Array(DateTime('UTC'))})))))
      AND (acts OR has({operations:Array(String)}, 'execute_tool') AND gen_ai_operation_name = 'evaluate_policy')
      AND ({driver:String} = '' OR trace_id IN (
            SELECT trace_id FROM {database}.spans
            WHERE tenant_id = {tenant:String} AND {driver:String} NOT IN ('', 'rule')
              AND start_time >= {from:DateTime64(9,'UTC')} AND start_time < {to:DateTime64(9,'UTC')}
              AND ({everywhere:Bool} OR toStartOfFiveMinutes(start_time) IN {steps:Array(DateTime('UTC'))})
              AND ({driver:String} = 'id' AND (gen_ai_tool_call_id IN {id:Array(String)} OR attribution_action_id IN {id:Array(String)}
                        OR attribution_correlation_id IN {id:Array(String)}
                        OR attribution_approval_id IN {id:Array(String)}
                        OR attribution_policy_decision_id IN {id:Array(String)}
                        OR attribution_credential_id IN {id:Array(String)}
                        OR attribution_principal_id IN {id:Array(String)}
                        OR attribution_task_id IN {id:Array(String)} OR session_id IN {id:Array(String)}
                        OR gen_ai_conversation_id IN {id:Array(String)}
                        OR trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16)))
                OR {driver:String} = 'credential' AND attribution_credential_id IN {credential:Array(String)}
                OR {driver:String} = 'session' AND (session_id IN {session:Array(String)}
                    OR gen_ai_conversation_id IN {session:Array(String)})
                OR {driver:String} = 'task' AND attribution_task_id IN {task:Array(String)}
                OR {driver:String} = 'resource' AND attribution_resource_id IN {resource:Array(String)}
                OR {driver:String} = 'principal' AND attribution_principal_id IN {principal:Array(String)}
                OR {driver:String} = 'initiator' AND attribution_initiator_id IN {initiator:Array(String)}
                OR {driver:String} = 'error' AND error_type IN {error:Array(String)}
                OR {driver:String} = 'enforcement' AND attribution_policy_enforcement_action IN {enforcement:Array(String)}
                OR {driver:String} = 'resource_type' AND attribution_resource_type IN {resource_type:Array(String)}
                OR {driver:String} = 'tool' AND gen_ai_tool_name IN {tool:Array(String)}
                OR {driver:String} = 'agent' AND (gen_ai_agent_name IN {agent:Array(String)}
                    OR attribution_agent_instance_id IN {agent:Array(String)}
                    OR attribution_agent_identity_id IN {agent:Array(String)})
                OR {driver:String} = 'effect' AND attribution_action_effect IN {effect:Array(String)}
                OR {driver:String} = 'mode' AND attribution_action_mode IN {mode:Array(String)}
                OR {driver:String} = 'decision' AND attribution_policy_decision_outcome IN {decision:Array(String)}
                OR {driver:String} = 'service' AND service_name IN {service:Array(String)}
                OR {driver:String} = 'failed' AND (status_code = 'ERROR' OR error_type != '')
                OR {driver:String} = 'without_agent' AND gen_ai_agent_name = ''
                OR {driver:String} = 'without_principal' AND attribution_principal_id = ''
                OR {driver:String} = 'without_initiator' AND attribution_initiator_id = ''
                OR {driver:String} = 'without_task' AND attribution_task_id = ''
                OR {driver:String} = 'without_credential' AND attribution_credential_id = ''
                OR {driver:String} = 'without_resource' AND attribution_resource_id = ''
                OR {driver:String} = 'without_tool' AND gen_ai_tool_name = ''
                OR {driver:String} = 'without_mode' AND attribution_action_mode = ''
                OR {driver:String} = 'without_decision' AND attribution_policy_decision_outcome = '')
              AND (gen_ai_operation_name IN {operations:Array(String)} OR mcp_method_name IN {operations:Array(String)}
                   OR gen_ai_operation_name = 'evaluate_policy')
            UNION ALL
            SELECT trace_id FROM {database}.findings
            WHERE tenant_id = {tenant:String} AND {driver:String} = 'rule' AND rule IN {rule:Array(String)}
              AND start_time >= {from:DateTime64(9,'UTC')} AND start_time < {to:DateTime64(9,'UTC')}))
) AS s
GROUP BY s.trace_id, key
HAVING start_ns >= {first_ns:Int64}
   AND (start_ns, trace, key) < ({before_ns:Int64}, {before_trace:String}, {before_key:String})
   AND (empty({id:Array(String)}) OR countIf(s.gen_ai_tool_call_id IN {id:Array(String)} OR s.attribution_action_id IN {id:Array(String)}
        OR s.attribution_correlation_id IN {id:Array(String)} OR s.attribution_approval_id IN {id:Array(String)}
        OR s.attribution_policy_decision_id IN {id:Array(String)}
        OR s.attribution_credential_id IN {id:Array(String)} OR s.attribution_principal_id IN {id:Array(String)}
        OR s.attribution_task_id IN {id:Array(String)} OR s.session_id IN {id:Array(String)}
        OR s.gen_ai_conversation_id IN {id:Array(String)}
        OR lower(hex(s.trace_id)) IN {id:Array(String)} OR lower(hex(s.span_id)) IN {id:Array(String)}) > 0)
   AND (empty({credential:Array(String)}) OR countIf(s.attribution_credential_id IN {credential:Array(String)}) > 0)
   AND (empty({session:Array(String)}) OR countIf(s.session_id IN {session:Array(String)}
            OR s.gen_ai_conversation_id IN {session:Array(String)}) > 0)
   AND (empty({task:Array(String)}) OR countIf(s.attribution_task_id IN {task:Array(String)}) > 0)
   AND (empty({resource:Array(String)}) OR countIf(s.attribution_resource_id IN {resource:Array(String)}) > 0)
   AND (empty({principal:Array(String)}) OR countIf(s.attribution_principal_id IN {principal:Array(String)}) > 0)
   AND (empty({initiator:Array(String)}) OR countIf(s.attribution_initiator_id IN {initiator:Array(String)}) > 0)
   AND (empty({error:Array(String)}) OR countIf(s.error_type IN {error:Array(String)}) > 0)
   AND (empty({enforcement:Array(String)}) OR countIf(s.attribution_policy_enforcement_action IN {enforcement:Array(String)}) > 0)
   AND (empty({resource_type:Array(String)}) OR countIf(s.attribution_resource_type IN {resource_type:Array(String)}) > 0)
   AND (empty({tool:Array(String)}) OR countIf(s.gen_ai_tool_name IN {tool:Array(String)}) > 0)
   AND (empty({agent:Array(String)}) OR countIf(s.gen_ai_agent_name IN {agent:Array(String)}
            OR s.attribution_agent_instance_id IN {agent:Array(String)}
            OR s.attribution_agent_identity_id IN {agent:Array(String)}) > 0)
   AND (empty({effect:Array(String)}) OR countIf(s.attribution_action_effect IN {effect:Array(String)}) > 0)
   AND (empty({mode:Array(String)}) OR countIf(s.attribution_action_mode IN {mode:Array(String)}) > 0)
   AND (empty({decision:Array(String)}) OR countIf(s.attribution_policy_decision_outcome IN {decision:Array(String)}) > 0)
   AND (empty({service:Array(String)}) OR countIf(s.service_name IN {service:Array(String)}) > 0)
   AND (empty({without:Array(String)}) OR hasAll(arrayFilter((name, value) -> value = '',
        ['agent', 'principal', 'initiator', 'task', 'credential', 'resource', 'tool', 'mode', 'decision'],
        [max(toString(s.gen_ai_agent_name)), max(s.attribution_principal_id), max(s.attribution_initiator_id), max(s.attribution_task_id),
         max(s.attribution_credential_id), max(s.attribution_resource_id), max(toString(s.gen_ai_tool_name)),
         max(toString(s.attribution_action_mode)), max(toString(s.attribution_policy_decision_outcome))]), {without:Array(String)}))
   AND (empty({status:Array(String)}) OR became IN {status:Array(String)})
   AND (empty({rule:Array(String)}) OR countIf((s.trace_id, s.span_id) IN (
            SELECT trace_id, span_id FROM {database}.findings
            WHERE tenant_id = {tenant:String} AND rule IN {rule:Array(String)}
              AND start_time >= {from:DateTime64(9,'UTC')} AND start_time < {to:DateTime64(9,'UTC')})) > 0)
ORDER BY start_ns DESC, trace DESC, key DESC
LIMIT {limit:UInt32}
