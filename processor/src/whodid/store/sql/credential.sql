{%- from "parts/look_up.sql" import in_its_times, settings -%}
-- The uses of one credential, oldest first: one row an action, or a span where a span belongs to no action.
-- What is counted over all of them (OVER ()) is the same on every row, and independent of the page: so the first
-- of all comes with every page, even where it is not on it.
SELECT *,
    use.1 AS span, use.2 AS parent, use.3 AS service_name, use.4 AS gen_ai_operation_name, use.5 AS mcp_method_name,
    use.6 AS name, use.7 AS gen_ai_tool_name, use.8 AS gen_ai_agent_name, use.9 AS attribution_agent_instance_id,
    use.10 AS attribution_agent_identity_id, use.11 AS attribution_principal_id, use.12 AS attribution_task_id,
    use.13 AS attribution_task_parent_id, use.14 AS attribution_action_id, use.15 AS attribution_resource_id,
    row_number() OVER (ORDER BY start_ns, trace, key) AS nth,
    not_before IS NOT NULL AND start_ns < toUnixTimestamp64Nano(not_before) - {skew_ns:Int64}
        OR not_after IS NOT NULL AND start_ns > toUnixTimestamp64Nano(not_after) + {skew_ns:Int64} AS outside_lifetime,
    issued_for != '' AND attribution_task_id != ''
        AND issued_for NOT IN (attribution_task_id, attribution_task_parent_id) AS of_other_task,
    count() OVER () AS use_count,
    countIf(NOT enrolled) OVER () AS unenrolled_count,
    countIf(outside_lifetime) OVER () AS outside_lifetime_count,
    countIf(of_other_task) OVER () AS other_task_count,
    min(start_ns) OVER () AS first_use_ns,
    argMinIf((span, trace, service_name, start_ns), start_ns, NOT enrolled) OVER () AS first_unenrolled,
    ({only:String} = '' OR {only:String} = 'unenrolled' AND NOT enrolled
        OR {only:String} = 'outside_lifetime' AND outside_lifetime OR {only:String} = 'other_task' AND of_other_task)
    AND (start_ns, trace, key) > ({after_ns:Int64}, {after_trace:String}, {after_key:String}) AS listed
FROM (
    SELECT lower(hex(trace_id)) AS trace, key,
        argMin((lower(hex(s.span_id)), lower(hex(s.parent_span_id)), s.service_name, s.gen_ai_operation_name,
            s.mcp_method_name, s.name, s.gen_ai_tool_name, s.gen_ai_agent_name, s.attribution_agent_instance_id,
            s.attribution_agent_identity_id, s.attribution_principal_id, s.attribution_task_id,
            s.attribution_task_parent_id, s.attribution_action_id, s.attribution_resource_id), s.rank) AS use,
        toUnixTimestamp64Nano(minIf(s.start_time, s.is_use)) AS start_ns,
        toUnixTimestamp64Nano(max(s.end_time)) AS end_ns,
        arraySort(groupUniqArray(20)(s.service_name)) AS services,
        groupUniqArray(20)(lower(hex(s.span_id))) AS spans,
        uniqExact(s.span_id) AS span_count,
        uniqExact(s.span_id, s.start_time, s.end_time, s.kind, s.gen_ai_agent_name, s.attribution_agent_instance_id,
            s.attribution_agent_identity_id, s.attribution_principal_id, s.attribution_task_id, s.service_name)
            AS version_count,
        arraySort(groupUniqArrayIf(20)(s.gen_ai_agent_name, s.gen_ai_agent_name != '')) AS agents,
        -- A server of the call names no agent of its own; anything else that names none is not one of ours.
        countIf(s.named) > 0 AND countIf(s.is_use AND NOT s.named AND NOT s.hop) = 0 AS enrolled,
        parseDateTime64BestEffortOrNull(
            if(max(s.attribution_credential_not_before) != '',
               max(s.attribution_credential_not_before), any(s.agreed_not_before)), 9, 'UTC') AS not_before,
        parseDateTime64BestEffortOrNull(
            if(min(s.attribution_credential_not_after) != '',
               min(s.attribution_credential_not_after), any(s.agreed_not_after)), 9, 'UTC') AS not_after,
        if(max(s.attribution_credential_task_id) != '',
           max(s.attribution_credential_task_id), any(s.agreed_task)) AS issued_for
    FROM (
        SELECT trace_id, span_id, parent_span_id, start_time, end_time, name, kind, service_name,
            gen_ai_operation_name, mcp_method_name, gen_ai_tool_name, gen_ai_agent_name, attribution_agent_instance_id,
            attribution_agent_identity_id, attribution_principal_id, attribution_task_id, attribution_task_parent_id,
            attribution_action_id, attribution_resource_id, attribution_credential_not_before,
            attribution_credential_not_after, attribution_credential_task_id,
            if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key,
            gen_ai_agent_name != '' AND (attribution_agent_instance_id != '' OR attribution_agent_identity_id != '')
                AND (empty({agents:Array(String)}) OR has({agents:Array(String)}, gen_ai_agent_name)
                     OR has({agents:Array(String)}, attribution_agent_identity_id)) AS named,
            kind = 'SERVER' OR mcp_method_name != '' AS hop,
            -- A span without an operation in an agent's own process only carries what its action uses.
            gen_ai_operation_name NOT IN {holding:Array(String)}
                AND (gen_ai_operation_name != '' OR mcp_method_name != '' OR NOT named) AS is_use,
            (NOT is_use, NOT named, start_time, span_id) AS rank,
            -- What a use does not say itself is known only where all others say one thing.
            groupUniqArrayIf(2)(attribution_credential_not_before, attribution_credential_not_before != '') OVER ()
                AS not_befores,
            groupUniqArrayIf(2)(attribution_credential_not_after, attribution_credential_not_after != '') OVER ()
                AS not_afters,
            groupUniqArrayIf(2)(attribution_credential_task_id, attribution_credential_task_id != '') OVER () AS tasks,
            if(length(not_befores) = 1, not_befores[1], '') AS agreed_not_before,
            if(length(not_afters) = 1, not_afters[1], '') AS agreed_not_after,
            if(length(tasks) = 1, tasks[1], '') AS agreed_task
        FROM {database}.spans
        PREWHERE tenant_id = {tenant:String} AND attribution_credential_id = {credential:String}{{ in_its_times(given) }}
          AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
    ) AS s
    GROUP BY trace_id, key
    HAVING countIf(s.is_use) > 0
)
QUALIFY listed OR nth = 1
ORDER BY start_ns, trace, key
LIMIT {limit:UInt32}
{{ settings(given) }}
