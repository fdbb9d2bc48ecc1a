{#- What is compared is looked for in the traces that it can be about, where somebody is asked about. -#}
{%- set in_their_traces -%}
{%- if given.agent %}
              AND trace_id IN (SELECT trace_id FROM acts)
{%- endif %}
{%- endset -%}
-- Actions done with another authority than the one that they come from. One branch a kind of contradiction; a branch
-- that is not asked for reads nothing. An action is one row a kind.
WITH acts AS (
    SELECT trace_id, span_id, parent_span_id, start_time, service_name, gen_ai_operation_name, gen_ai_agent_name,
        gen_ai_tool_name, attribution_action_id, attribution_action_effect, attribution_resource_id,
        attribution_initiator_type, attribution_initiator_id, attribution_principal_type, attribution_principal_id,
        attribution_task_id, attribution_credential_id, attribution_credential_task_id,
        attribution_policy_enforcement_action
    FROM {database}.spans
    WHERE tenant_id = {tenant:String}
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
      AND (gen_ai_operation_name IN ('execute_tool', 'evaluate_policy') OR mcp_method_name = 'tools/call')
      AND ({agent:String} = '' OR gen_ai_agent_name = {agent:String})
      AND attribution_principal_id != ''
)
SELECT kind, lower(hex(trace_id)) AS trace, key, lower(hex(argMin(found.span_id, rank))) AS span,
    lower(hex(argMin(found.parent_span_id, rank))) AS parent,
    toUnixTimestamp64Nano(min(found.start_time)) AS start_ns,
    arraySort(groupUniqArray(20)(lower(hex(found.span_id)))) AS spans,
    arraySort(groupUniqArray(20)(toString(found.service_name))) AS services,
    countIf(gen_ai_operation_name != 'evaluate_policy') > 0 AS did_run,
    countIf(attribution_policy_enforcement_action = 'blocked') > 0 AS was_blocked,
    arraySort(groupUniqArray(20)(other)) AS others, groupUniqArrayIf(20)(other_span, other_span != '') AS other_spans,
    argMin(found.gen_ai_agent_name, rank) AS gen_ai_agent_name,
    argMin(found.attribution_principal_id, rank) AS attribution_principal_id,
    argMin(found.attribution_initiator_id, rank) AS attribution_initiator_id,
    argMin(found.attribution_task_id, rank) AS attribution_task_id,
    argMin(found.gen_ai_tool_name, rank) AS tool, argMin(found.attribution_resource_id, rank) AS resource,
    argMin(found.attribution_action_effect, rank) AS effect,
    argMin(found.attribution_credential_id, rank) AS attribution_credential_id,
    argMin(found.attribution_credential_task_id, rank) AS issued_for,
    argMin(found.attribution_action_id, rank) AS attribution_action_id
FROM (
    SELECT *, if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key,
        (gen_ai_operation_name != 'execute_tool', start_time, span_id) AS rank
    FROM (
        -- A human started it, and it is done with another human's authority.
        SELECT 'initiator' AS kind, attribution_initiator_id AS other, '' AS other_span, s.*
        FROM acts AS s
        WHERE has({kinds:Array(String)}, 'initiator') AND attribution_initiator_type = 'human' AND attribution_principal_type = 'human'
          AND attribution_initiator_id NOT IN ('', attribution_principal_id)

        UNION ALL
        -- The trace began with one principal's authority, and the action is done with another's.
        SELECT 'principal_changed', began.principal, began.span, s.*
        FROM acts AS s
        INNER JOIN (
            SELECT trace_id, argMin(attribution_principal_id, (parent_span_id != toFixedString('', 8), start_time)) AS principal,
                lower(hex(argMin(span_id, (parent_span_id != toFixedString('', 8), start_time)))) AS span
            FROM {database}.spans
            WHERE has({kinds:Array(String)}, 'principal_changed') AND tenant_id = {tenant:String}
              AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
              AND attribution_principal_id != ''{{ in_their_traces }}
{%- if given.principal %}
              AND trace_id IN (
                  SELECT trace_id FROM {database}.spans
                  WHERE tenant_id = {tenant:String} AND attribution_principal_id = {principal:String}
                    AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')})
{%- endif %}
            GROUP BY trace_id
            HAVING min(attribution_principal_id) != max(attribution_principal_id)
        ) AS began ON s.trace_id = began.trace_id
        WHERE has({kinds:Array(String)}, 'principal_changed') AND attribution_principal_id != began.principal

        UNION ALL
        -- The same for a task that goes on in another trace.
        SELECT 'principal_changed', began.principal, began.span, s.*
        FROM acts AS s
        INNER JOIN (
            SELECT attribution_task_id, argMin(attribution_principal_id, start_time) AS principal,
                lower(hex(argMin(span_id, start_time))) AS span
            FROM {database}.spans
            WHERE has({kinds:Array(String)}, 'principal_changed') AND tenant_id = {tenant:String}
              AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
              AND attribution_principal_id != '' AND attribution_task_id != ''
            GROUP BY attribution_task_id
            HAVING min(attribution_principal_id) != max(attribution_principal_id) AND uniqExact(trace_id) > 1
        ) AS began ON s.attribution_task_id = began.attribution_task_id
        WHERE has({kinds:Array(String)}, 'principal_changed') AND attribution_principal_id != began.principal

        UNION ALL
        -- The policies were asked about one principal, and the action is done for another.
        SELECT 'decision', asked.principal, asked.span, s.*
        FROM acts AS s
        INNER JOIN (
            SELECT trace_id, attribution_action_id, lower(hex(span_id)) AS span,
                if(JSONExtractString(attribution_policy_context_value, 'principal', 'id') != '',
                   JSONExtractString(attribution_policy_context_value, 'principal', 'id'),
                   attribution_principal_id) AS principal
            FROM {database}.spans
            WHERE has({kinds:Array(String)}, 'decision') AND tenant_id = {tenant:String}
              AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
              AND gen_ai_operation_name = 'evaluate_policy' AND attribution_action_id != ''{{ in_their_traces }}
{%- if given.principal %}
              AND (principal = {principal:String}
                OR trace_id IN (SELECT trace_id FROM acts WHERE attribution_principal_id = {principal:String}))
{%- endif %}
        ) AS asked ON s.trace_id = asked.trace_id AND s.attribution_action_id = asked.attribution_action_id
        WHERE has({kinds:Array(String)}, 'decision') AND asked.principal NOT IN ('', attribution_principal_id)

        UNION ALL
        -- The credential was issued for a task of another principal.
        SELECT 'credential', owner.principal, owner.span, s.*
        FROM acts AS s
        INNER JOIN (
            SELECT attribution_task_id AS task, any(attribution_principal_id) AS principal, lower(hex(any(span_id))) AS span
            FROM {database}.spans
            WHERE has({kinds:Array(String)}, 'credential') AND tenant_id = {tenant:String}
              AND attribution_principal_id != '' AND attribution_task_id != ''
              AND attribution_task_id IN (
                  SELECT attribution_credential_task_id FROM {database}.spans
                  WHERE has({kinds:Array(String)}, 'credential') AND tenant_id = {tenant:String}
                    AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
                    AND attribution_credential_task_id NOT IN ('', attribution_task_id))
            -- Of a task that several principals are named for nobody knows whose it is.
            GROUP BY task HAVING min(attribution_principal_id) = max(attribution_principal_id)
        ) AS owner ON s.attribution_credential_task_id = owner.task
        WHERE has({kinds:Array(String)}, 'credential') AND attribution_principal_id != owner.principal

        UNION ALL
        -- The credential serves several principals: it is the agent's own authority, and none of theirs.
        SELECT 'shared_credential', shared.principal, '', s.*
        FROM acts AS s
        INNER JOIN (
            SELECT attribution_credential_id, arrayJoin(groupUniqArray(20)(attribution_principal_id)) AS principal
            FROM {database}.spans
            WHERE has({kinds:Array(String)}, 'shared_credential') AND tenant_id = {tenant:String}
              AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
              AND attribution_principal_id != '' AND attribution_credential_id != ''
            GROUP BY attribution_credential_id
            HAVING min(attribution_principal_id) != max(attribution_principal_id)
        ) AS shared ON s.attribution_credential_id = shared.attribution_credential_id
        WHERE has({kinds:Array(String)}, 'shared_credential') AND attribution_principal_id != shared.principal
    )
    WHERE ({principal:String} = '' OR attribution_principal_id = {principal:String} OR other = {principal:String})
) AS found
GROUP BY kind, trace_id, key
HAVING (start_ns, trace, concat(key, ' ', kind)) > ({after_ns:Int64}, {after_trace:String}, {after_key:String})
ORDER BY start_ns, trace, concat(key, ' ', kind)
LIMIT {limit:UInt32}
