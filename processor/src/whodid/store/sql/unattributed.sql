-- Actions of a time of which something is said by none of their spans, oldest first. An action is looked at as a
-- whole: what one of its spans lacks, another may say. What is counted OVER () is independent of the page.
WITH lacking AS (
    SELECT trace_id, attribution_action_id FROM {database}.spans
    WHERE tenant_id = {tenant:String}
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
      AND (gen_ai_operation_name IN {operations:Array(String)} OR mcp_method_name IN {operations:Array(String)})
      AND ({service:String} = '' OR service_name = {service:String})
      AND attribution_action_id != ''
      AND (gen_ai_agent_name = '' AND has({missing:Array(String)}, 'agent')
        OR attribution_agent_instance_id = '' AND has({missing:Array(String)}, 'instance')
        OR attribution_principal_id = '' AND has({missing:Array(String)}, 'principal')
        OR attribution_initiator_id = '' AND has({missing:Array(String)}, 'initiator')
        OR attribution_task_id = '' AND has({missing:Array(String)}, 'task'))
)
SELECT *, (start_ns, trace, key) > ({after_ns:Int64}, {after_trace:String}, {after_key:String}) AS listed
FROM (
    SELECT *, row_number() OVER (ORDER BY start_ns, trace, key) AS nth,
        count() OVER () AS action_count,
        sumMap([intDiv(start_ns, 3600000000000) * 3600], [toUInt64(1)]) OVER () AS hours,
        countIf(has(lacks, 'agent')) OVER () AS without_agent,
        countIf(has(lacks, 'instance')) OVER () AS without_instance,
        countIf(has(lacks, 'principal')) OVER () AS without_principal,
        countIf(has(lacks, 'initiator')) OVER () AS without_initiator,
        countIf(has(lacks, 'task')) OVER () AS without_task
    FROM (
        SELECT lower(hex(s.trace_id)) AS trace, key, lower(hex(argMin(s.span_id, s.rank))) AS span,
            lower(hex(argMin(s.parent_span_id, s.rank))) AS parent,
            toUnixTimestamp64Nano(minIf(s.start_time, s.acts)) AS start_ns,
            argMin(s.name, s.rank) AS name,
            arraySort(groupUniqArray(20)(s.service_name)) AS services,
            groupUniqArray(20)(lower(hex(s.span_id))) AS spans,
            argMin(s.scope_name, s.rank) AS scope_name, max(s.copied) AS copied,
            argMin(s.gen_ai_operation_name, s.rank) AS gen_ai_operation_name,
            argMin(s.mcp_method_name, s.rank) AS mcp_method_name,
            argMin(s.gen_ai_tool_name, s.rank) AS gen_ai_tool_name,
            argMin(s.attribution_resource_id, s.rank) AS attribution_resource_id,
            argMin(s.attribution_credential_id, s.attribution_credential_id = '') AS attribution_credential_id,
            max(s.attribution_action_id) AS attribution_action_id,
            max(s.gen_ai_agent_name) AS gen_ai_agent_name,
            max(s.attribution_agent_instance_id) AS attribution_agent_instance_id,
            max(s.attribution_principal_id) AS attribution_principal_id,
            max(s.attribution_initiator_id) AS attribution_initiator_id,
            max(s.attribution_task_id) AS attribution_task_id,
            arrayFilter((what, said) -> said = '', ['agent', 'instance', 'principal', 'initiator', 'task'],
                [toString(gen_ai_agent_name), attribution_agent_instance_id, attribution_principal_id,
                 attribution_initiator_id, attribution_task_id]) AS lacks
        FROM (
            SELECT *, if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key,
                gen_ai_operation_name IN {operations:Array(String)} OR mcp_method_name IN {operations:Array(String)} AS acts,
                (NOT acts, start_time, span_id) AS rank,
                cityHash64(gen_ai_agent_name, attribution_agent_instance_id, attribution_principal_id,
                    attribution_initiator_id, attribution_task_id) AS content,
                min(content) OVER copies != max(content) OVER copies AS copied
            FROM {database}.spans
            WHERE tenant_id = {tenant:String}
              AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
              AND (attribution_action_id = '' AND acts AND ({service:String} = '' OR service_name = {service:String})
                    AND (gen_ai_agent_name = '' AND has({missing:Array(String)}, 'agent')
                      OR attribution_agent_instance_id = '' AND has({missing:Array(String)}, 'instance')
                      OR attribution_principal_id = '' AND has({missing:Array(String)}, 'principal')
                      OR attribution_initiator_id = '' AND has({missing:Array(String)}, 'initiator')
                      OR attribution_task_id = '' AND has({missing:Array(String)}, 'task'))
                OR attribution_action_id != '' AND (trace_id, attribution_action_id) IN (SELECT * FROM lacking))
            WINDOW copies AS (PARTITION BY trace_id, span_id)
            -- Of a span that was sent twice the one that says less: nobody can be put into an action afterwards.
            ORDER BY (gen_ai_agent_name != '') + (attribution_agent_instance_id != '') + (attribution_principal_id != '')
                + (attribution_initiator_id != '') + (attribution_task_id != '')
            LIMIT 1 BY trace_id, span_id
        ) AS s
        GROUP BY s.trace_id, key
        HAVING hasAny(lacks, {missing:Array(String)})
    )
)
WHERE listed OR nth = 1
ORDER BY start_ns, trace, key
LIMIT {limit:UInt32}
