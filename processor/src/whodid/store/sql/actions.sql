-- Some actions with what all of their spans say. The index says when the traces were.
SELECT lower(hex(s.trace_id)) AS trace, key,
    toUnixTimestamp64Nano(if(countIf(s.acts) > 0, minIf(s.start_time, s.acts), min(s.start_time))) AS start_ns,
    toUnixTimestamp64Nano(if(countIf(s.acts) > 0, maxIf(s.end_time, s.acts), max(s.end_time))) AS end_ns,
    lower(hex(argMin(s.span_id, s.rank))) AS span, lower(hex(argMin(s.parent_span_id, s.rank))) AS parent,
    arrayMap(each -> each.2, arraySort(groupUniqArray(20)((s.start_time, lower(hex(s.span_id)))))) AS spans,
    uniqExact(s.span_id) AS span_count,
    uniqExact(s.span_id, s.start_time, s.end_time, s.status_code, s.gen_ai_agent_name, s.attribution_principal_id,
        s.attribution_initiator_id, s.attribution_credential_id, s.attribution_policy_decision_outcome, s.gen_ai_tool_name)
        AS version_count,
    countIf(s.gen_ai_operation_name = 'evaluate_policy') > 0 AS decided,
    countIf(s.acts) > 0 AS ran,
    countIf(s.acts AND (s.status_code = 'ERROR' OR s.error_type != '')) > 0 AS failed,
    countIf(s.attribution_policy_enforcement_action = 'blocked') > 0 AS blocked,
    argMin(s.name, s.rank) AS name, argMin(s.scope_name, s.rank) AS scope_name,
    argMin(s.gen_ai_operation_name, s.rank) AS gen_ai_operation_name, argMin(s.mcp_method_name, s.rank) AS mcp_method_name,
    -- What the span that stands for the action says, or else the first that says it, and which one that is.
    argMin(s.gen_ai_agent_name, (s.gen_ai_agent_name = '', s.rank)) AS gen_ai_agent_name,
    lower(hex(argMin(s.span_id, (s.gen_ai_agent_name = '', s.rank)))) AS agent_span,
    argMin(s.attribution_principal_id, (s.attribution_principal_id = '', s.rank)) AS attribution_principal_id,
    lower(hex(argMin(s.span_id, (s.attribution_principal_id = '', s.rank)))) AS principal_span,
    argMin(s.attribution_initiator_id, (s.attribution_initiator_id = '', s.rank)) AS attribution_initiator_id,
    lower(hex(argMin(s.span_id, (s.attribution_initiator_id = '', s.rank)))) AS initiator_span,
    argMin(s.attribution_task_id, (s.attribution_task_id = '', s.rank)) AS attribution_task_id,
    lower(hex(argMin(s.span_id, (s.attribution_task_id = '', s.rank)))) AS task_span,
    argMin(s.gen_ai_tool_name, (s.gen_ai_tool_name = '', s.rank)) AS gen_ai_tool_name,
    argMin(s.gen_ai_tool_call_id, (s.gen_ai_tool_call_id = '', s.rank)) AS gen_ai_tool_call_id,
    argMin(s.gen_ai_request_model, (s.gen_ai_request_model = '', s.rank)) AS gen_ai_request_model,
    argMin(s.attribution_resource_type, (s.attribution_resource_type = '', s.rank)) AS attribution_resource_type,
    argMin(s.attribution_resource_id, (s.attribution_resource_id = '', s.rank)) AS attribution_resource_id,
    argMin(s.attribution_action_effect, (s.attribution_action_effect = '', s.rank)) AS attribution_action_effect,
    argMin(s.attribution_action_mode, (s.attribution_action_mode = '', s.rank)) AS attribution_action_mode,
    argMin(s.attribution_policy_decision_outcome, (s.attribution_policy_decision_outcome = '', s.rank))
        AS attribution_policy_decision_outcome,
    argMin(s.attribution_policy_enforcement_action, (s.attribution_policy_enforcement_action = '', s.rank))
        AS attribution_policy_enforcement_action,
    argMin(s.attribution_approval_id, (s.attribution_approval_id = '', s.rank)) AS attribution_approval_id,
    argMin(s.attribution_credential_id, (s.attribution_credential_id = '', s.rank)) AS attribution_credential_id,
    argMin(if(s.session_id != '', s.session_id, s.gen_ai_conversation_id),
        (s.session_id = '' AND s.gen_ai_conversation_id = '', s.rank)) AS session,
    argMin(s.error_type, (s.error_type = '', s.rank)) AS error_type,
    max(s.attribution_action_id) AS attribution_action_id,
    arraySort(groupUniqArray(20)(s.service_name)) AS services,
    arraySort(groupUniqArrayIf(5)(toString(s.gen_ai_agent_name), s.gen_ai_agent_name != '')) AS agents,
    arraySort(groupUniqArrayIf(5)(s.attribution_principal_id, s.attribution_principal_id != '')) AS principals,
    arraySort(groupUniqArrayIf(5)(s.attribution_initiator_id, s.attribution_initiator_id != '')) AS initiators,
    arraySort(groupUniqArrayIf(5)(toString(s.attribution_policy_decision_outcome), s.attribution_policy_decision_outcome != ''))
        AS outcomes
FROM (
    SELECT trace_id, span_id, parent_span_id, start_time, end_time, name, kind, status_code, scope_name, service_name,
        session_id, gen_ai_conversation_id, gen_ai_operation_name, mcp_method_name, gen_ai_agent_name, gen_ai_tool_name,
        gen_ai_tool_call_id, gen_ai_request_model, error_type, attribution_initiator_id, attribution_principal_id,
        attribution_task_id, attribution_action_id, attribution_action_mode, attribution_action_effect,
        attribution_policy_decision_outcome, attribution_policy_enforcement_action, attribution_approval_id,
        attribution_credential_id, attribution_resource_type, attribution_resource_id,
        gen_ai_operation_name IN {operations:Array(String)} OR mcp_method_name IN {operations:Array(String)} AS acts,
        gen_ai_operation_name IN ('execute_tool', 'evaluate_policy') OR mcp_method_name = 'tools/call' AS of_tool,
        if(of_tool AND attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key,
        -- The outermost execution stands for the action: a tool's server tells of the same one.
        (NOT acts, gen_ai_operation_name NOT IN {operations:Array(String)}, kind = 'SERVER', start_time, span_id) AS rank
    FROM {database}.spans
    WHERE tenant_id = {tenant:String}
      AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
      AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
      AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
      AND (acts OR has({operations:Array(String)}, 'execute_tool') AND gen_ai_operation_name = 'evaluate_policy')
      AND key IN {keys:Array(String)}
) AS s
GROUP BY s.trace_id, key
ORDER BY start_ns DESC, trace DESC, key DESC
LIMIT {limit:UInt32}
