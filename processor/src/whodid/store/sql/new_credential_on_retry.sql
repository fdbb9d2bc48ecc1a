-- Attempts that failed or were held back, each with the next one at the same thing, where that used another
-- credential. An attempt is an action with one credential; attempts at the same thing are of one task (or trace, where no task is named),
-- with one tool, and the same arguments or the same resource (the tool alone where neither is known).
WITH failing AS (
    SELECT if(attribution_task_id != '', attribution_task_id, lower(hex(trace_id))) AS work FROM {database}.spans
    WHERE tenant_id = {tenant:String}
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
      AND (status_code = 'ERROR' OR error_type != '' OR attribution_policy_enforcement_action = 'blocked')
      AND (gen_ai_operation_name IN ('execute_tool', 'evaluate_policy') OR mcp_method_name = 'tools/call')
),
-- Where of these the same thing was tried with several credentials: a few columns leave out nearly all works, and what
-- follows takes many of every action.
contested AS (
    SELECT arrayJoin(groupUniqArrayArray(works)) AS work
    FROM (
        SELECT max(s.work) AS one_work, groupUniqArray(s.work) AS works,
            groupUniqArrayIf(2)(s.attribution_credential_id, s.attribution_credential_id != '') AS credentials,
            toString(max(s.gen_ai_tool_name)) AS tool, max(s.attribution_resource_id) AS resource,
            max(s.attribution_action_arguments_hash) AS arguments
        FROM (
            SELECT trace_id, gen_ai_tool_name, attribution_resource_id, attribution_action_arguments_hash,
                attribution_credential_id,
                if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key,
                if(attribution_task_id != '', attribution_task_id, lower(hex(trace_id))) AS work
            FROM {database}.spans
            WHERE tenant_id = {tenant:String}
              AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
              AND (gen_ai_operation_name IN ('execute_tool', 'evaluate_policy') OR mcp_method_name = 'tools/call')
              AND work IN (SELECT work FROM failing)
        ) AS s
        GROUP BY s.trace_id, s.key
        HAVING notEmpty(credentials) AND tool != ''
    )
    ARRAY JOIN [arguments, resource, if(arguments = '' AND resource = '', tool, '')] AS same
    WHERE same != ''
    GROUP BY one_work, tool, same
    HAVING length(groupUniqArrayArray(2)(credentials)) > 1
)
SELECT trace, action, span, parent, start_ns, credential, type, scopes, outcome, error, service_name, services, spans,
    copies, gen_ai_agent_name, attribution_agent_instance_id, attribution_principal_id, attribution_task_id,
    attribution_credential_id, tool, resource, replaces,
    before_trace, before_action, before_ns, before_credential, before_type, before_scopes, before_outcome,
    before_error, before_agent, before_service, before_spans, before_copies,
    min(same) AS same_by, first_ns_in_work = start_ns AS new_to_task
FROM (
    SELECT *, same, min(start_ns) OVER (PARTITION BY work, credential) AS first_ns_in_work,
        lagInFrame(trace) OVER attempts AS before_trace, lagInFrame(action) OVER attempts AS before_action,
        lagInFrame(start_ns) OVER attempts AS before_ns, lagInFrame(credential) OVER attempts AS before_credential,
        lagInFrame(type) OVER attempts AS before_type, lagInFrame(scopes) OVER attempts AS before_scopes,
        lagInFrame(outcome) OVER attempts AS before_outcome, lagInFrame(error) OVER attempts AS before_error,
        lagInFrame(gen_ai_agent_name) OVER attempts AS before_agent,
        lagInFrame(service_name) OVER attempts AS before_service, lagInFrame(spans) OVER attempts AS before_spans,
        lagInFrame(copies) OVER attempts AS before_copies
    FROM (
        SELECT lower(hex(s.trace_id)) AS trace, key AS action, max(s.work) AS work,
            lower(hex(argMin(s.span_id, s.rank))) AS span, lower(hex(argMin(s.parent_span_id, s.rank))) AS parent,
            toUnixTimestamp64Nano(min(s.start_time)) AS start_ns,
            used AS credential,
            argMin(toString(s.attribution_credential_type), s.rank) AS type,
            argMin(s.attribution_credential_scopes, s.rank) AS scopes,
            argMin(s.attribution_credential_replaces_id, s.rank) AS replaces,
            multiIf(countIf(s.ran) = 0 AND countIf(s.attribution_policy_enforcement_action = 'blocked') > 0, 'denied',
                countIf(s.ran) = 0, 'not_recorded', countIf(s.ran AND s.failed) > 0, 'failed', 'succeeded') AS outcome,
            toString(argMin(s.error_type, s.error_type = '')) AS error,
            toString(argMin(s.service_name, s.rank)) AS service_name,
            arraySort(groupUniqArray(20)(toString(s.service_name))) AS services,
            arraySort(groupUniqArray(20)(lower(hex(s.span_id)))) AS spans,
            uniqExact(s.span_id, s.status_code, s.error_type, s.attribution_credential_id) - uniqExact(s.span_id) AS copies,
            toString(max(s.gen_ai_agent_name)) AS gen_ai_agent_name,
            max(s.attribution_agent_instance_id) AS attribution_agent_instance_id,
            max(s.attribution_principal_id) AS attribution_principal_id,
            max(s.attribution_task_id) AS attribution_task_id, credential AS attribution_credential_id,
            toString(max(s.gen_ai_tool_name)) AS tool, max(s.attribution_resource_id) AS resource,
            max(s.attribution_action_arguments_hash) AS arguments
        FROM (
            SELECT *, if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key,
                if(attribution_task_id != '', attribution_task_id, lower(hex(trace_id))) AS work,
                gen_ai_operation_name = 'execute_tool' OR mcp_method_name = 'tools/call' AS ran,
                status_code = 'ERROR' OR error_type != '' AS failed,
                -- A server's span may not know the credential: it is the action's, if that used one alone.
                multiIf(attribution_credential_id != '', attribution_credential_id,
                    max(attribution_credential_id) OVER action
                        = minIf(attribution_credential_id, attribution_credential_id != '') OVER action,
                    max(attribution_credential_id) OVER action, '') AS used,
                (attribution_credential_id = '', gen_ai_operation_name != 'execute_tool', start_time, span_id) AS rank
            FROM {database}.spans
            WHERE tenant_id = {tenant:String}
              AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
              AND (gen_ai_operation_name IN ('execute_tool', 'evaluate_policy') OR mcp_method_name = 'tools/call')
              AND work IN (SELECT work FROM contested)
            WINDOW action AS (PARTITION BY trace_id, key)
        ) AS s
        GROUP BY s.trace_id, key, used
        HAVING credential != '' AND tool != ''
    )
    ARRAY JOIN arrayFilter(same -> same.2 != '', [
        ('arguments', arguments), ('resource', resource),
        ('tool', if(arguments = '' AND resource = '', tool, ''))]) AS same
    WINDOW attempts AS (
        PARTITION BY work, tool, same ORDER BY start_ns, trace, action, credential
        ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
)
WHERE before_outcome IN ('failed', 'denied') AND credential != before_credential
  AND start_ns - before_ns <= {within_ns:Int64}
  AND ({agent:String} = '' OR {agent:String} IN (gen_ai_agent_name, before_agent))
  AND (start_ns, trace, concat(action, ' ', credential)) > ({after_ns:Int64}, {after_trace:String}, {after_key:String})
GROUP BY ALL
ORDER BY start_ns, trace, concat(action, ' ', credential), before_ns, before_action
LIMIT {limit:UInt32}
