-- Results from a cache (or a replay) that were made for somebody else. Each reading action once, with the action that
-- made the result. What is counted (OVER ()) is over all pages; the first of all comes with every page for its counts.
WITH readers AS (
    SELECT lower(hex(s.trace_id)) AS trace, key,
        lower(hex(argMin(s.span_id, s.start_time))) AS span, lower(hex(argMin(s.parent_span_id, s.start_time))) AS parent,
        toUnixTimestamp64Nano(min(s.start_time)) AS start_ns, groupUniqArray(20)(lower(hex(s.span_id))) AS spans,
        argMin(s.service_name, s.start_time) AS service, max(s.gen_ai_agent_name) AS gen_ai_agent_name,
        max(s.attribution_principal_id) AS attribution_principal_id,
        max(s.attribution_initiator_id) AS attribution_initiator_id, max(s.attribution_task_id) AS attribution_task_id,
        max(s.gen_ai_tool_name) AS tool, max(s.attribution_resource_id) AS resource,
        max(s.attribution_result_source) AS source, lower(max(s.attribution_result_origin_trace_id)) AS origin_trace,
        lower(max(s.attribution_result_origin_span_id)) AS origin_span,
        max(s.attribution_result_origin_initiator_id) AS origin_initiator,
        max(s.attribution_action_id) AS attribution_action_id,
        min(s.attribution_principal_id) != max(s.attribution_principal_id) AS torn
    FROM (
        SELECT *, if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key
        FROM {database}.spans
        WHERE tenant_id = {tenant:String} AND attribution_result_source IN ('cache', 'replay')
          AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
    ) AS s
    GROUP BY s.trace_id, key
)
SELECT *, has({kinds:Array(String)}, kind) AND (start_ns, trace, key) > ({after_ns:Int64}, {after_trace:String}, {after_key:String})
    AS listed
FROM (
    SELECT *, row_number() OVER (ORDER BY start_ns, trace, key) AS nth, count() OVER () AS read_count,
        countIf(kind = 'principal') OVER () AS principal_count, countIf(kind = 'initiator') OVER () AS initiator_count,
        countIf(kind = 'unknown') OVER () AS unknown_count
    FROM (
        SELECT r.*, p.start_ns AS made_ns, p.principal AS made_principal, p.initiator AS made_initiator,
            p.agent AS made_agent, p.task AS made_task, p.service AS made_service, p.tool AS made_tool,
            p.source AS made_source, p.differs AS made_differs,
            if(made_initiator != '', made_initiator, origin_initiator) AS for_initiator,
            multiIf(
                attribution_principal_id != '' AND made_principal != '',
                    if(attribution_principal_id != made_principal, 'principal', 'same'),
                attribution_initiator_id != '' AND for_initiator != '',
                    if(attribution_initiator_id != for_initiator, 'initiator', 'same'),
                'unknown') AS kind
        FROM readers AS r
        LEFT JOIN (
            SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span,
                toUnixTimestamp64Nano(min(start_time)) AS start_ns,
                argMin(attribution_principal_id, start_time) AS principal,
                argMin(attribution_initiator_id, start_time) AS initiator, argMin(gen_ai_agent_name, start_time) AS agent,
                argMin(attribution_task_id, start_time) AS task, argMin(service_name, start_time) AS service,
                argMin(gen_ai_tool_name, start_time) AS tool, argMin(attribution_result_source, start_time) AS source,
                uniqExact(attribution_principal_id, attribution_initiator_id) > 1 AS differs
            FROM {database}.spans
            WHERE tenant_id = {tenant:String}
              AND trace_id IN (SELECT toFixedString(substring(unhex(origin_trace), 1, 16), 16) FROM readers)
              AND span_id IN (SELECT toFixedString(substring(unhex(origin_span), 1, 8), 8) FROM readers)
              AND start_time >= (
                  SELECT min(first_time) FROM {database}.trace_index
                  WHERE tenant_id = {tenant:String}
                    AND trace_id IN (SELECT toFixedString(substring(unhex(origin_trace), 1, 16), 16) FROM readers))
            GROUP BY trace_id, span_id
        ) AS p ON r.origin_trace = p.trace AND r.origin_span = p.span
    )
    WHERE ({agent:String} = '' OR gen_ai_agent_name = {agent:String} OR made_agent = {agent:String})
      AND ({tool:String} = '' OR tool = {tool:String})
      AND ({principal:String} = '' OR attribution_principal_id = {principal:String} OR made_principal = {principal:String})
)
WHERE listed OR nth = 1
ORDER BY start_ns, trace, key
LIMIT {limit:UInt32}
