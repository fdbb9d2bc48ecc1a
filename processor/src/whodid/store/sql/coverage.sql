-- How many actions of a time say each of the things that a control asks for. An action is looked at as a whole: what
-- one of its spans lacks, another may say. Approvals are looked for before the period too.
SELECT fact, count() AS action_count, countIf(is_said) AS said_count,
    arraySort(groupArrayIf(5)(span, NOT is_said)) AS without
FROM (
    SELECT span, fact, has(said, fact) AS is_said
    FROM (
        SELECT lower(hex(argMin(span_id, (start_time, span_id)))) AS span, groupUniqArrayArray(facts) AS said,
            max(is_approved) AS approved
        FROM (
            SELECT trace_id, span_id, start_time,
                if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key,
                attribution_action_mode = 'human_approved' AS is_approved,
                arrayFilter((fact, is_said) -> is_said,
                    ['agent', 'instance', 'identity', 'attested', 'principal', 'initiator', 'chain', 'task', 'objective',
                     'tool', 'resource', 'arguments', 'effect', 'mode', 'decision', 'enforcement', 'policy', 'context',
                     'reason', 'approval', 'approver', 'credential', 'correlation', 'source'],
                    [gen_ai_agent_name != '', attribution_agent_instance_id != '', attribution_agent_identity_id != '',
                     JSONExtractString(resource, 'attribution.agent.attested.id') != '',
                     attribution_principal_id != '', attribution_initiator_id != '',
                     notEmpty(attribution_delegation_chain), attribution_task_id != '',
                     attribution_task_objective_hash != '', gen_ai_tool_name != '', attribution_resource_id != '',
                     attribution_action_arguments_hash != '', attribution_action_effect != '',
                     attribution_action_mode != '', attribution_policy_decision_outcome != '',
                     attribution_policy_enforcement_action != '', attribution_policy_version != '',
                     attribution_policy_context_hash != '', attribution_policy_decision_reason != '',
                     attribution_approval_id != '',
                     attribution_approval_id != '' AND attribution_approval_id IN (
                        SELECT attribution_approval_id FROM {database}.spans
                        WHERE tenant_id = {tenant:String}
                          AND start_time >= {approved_since:DateTime64(9,'UTC')}
                          AND start_time < {until:DateTime64(9,'UTC')}
                          AND attribution_approval_status = 'granted' AND attribution_approval_approver_id != ''),
                     attribution_credential_id != '', attribution_correlation_id != '',
                     attribution_result_source != '']) AS facts
            FROM {database}.spans
            WHERE tenant_id = {tenant:String}
              AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
              AND (gen_ai_operation_name IN ('execute_tool', 'evaluate_policy') OR mcp_method_name = 'tools/call')
        )
        GROUP BY trace_id, key
    )
    ARRAY JOIN {facts:Array(String)} AS fact
    WHERE approved OR fact NOT IN ('approval', 'approver')
)
GROUP BY fact
