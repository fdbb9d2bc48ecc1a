-- What some traces are: how each begins, and how many spans, actions and errors it has. The first of copies of a span
-- counts once.
SELECT trace, argMin(span, (parent != '0000000000000000', start_time, span)) AS first_span,
       argMin(parent, (parent != '0000000000000000', start_time, span)) AS first_parent,
       argMin(name, (parent != '0000000000000000', start_time, span)) AS first_name,
       argMin(service_name, (parent != '0000000000000000', start_time, span)) AS service,
       toUnixTimestamp64Nano(min(start_time)) AS start_ns, toUnixTimestamp64Nano(max(end_time)) AS end_ns,
       arraySort(groupUniqArrayIf(20)(gen_ai_agent_name, gen_ai_agent_name != '')) AS agents,
       arraySort(groupUniqArrayIf(20)(attribution_principal_id, attribution_principal_id != '')) AS principals,
       count() AS span_count,
       countIf(gen_ai_operation_name = 'execute_tool') AS ran_count,
       countIf(attribution_policy_enforcement_action = 'blocked' AND gen_ai_operation_name = 'evaluate_policy') AS blocked_count,
       countIf(status_code = 'ERROR') AS error_count,
       countIf(mcp_method_name IN ('', 'tools/call')) = 0 AS protocol_only
FROM (
    SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent, name, service_name,
           start_time, end_time, status_code, gen_ai_agent_name, gen_ai_operation_name, attribution_principal_id,
           mcp_method_name,
           attribution_policy_enforcement_action
    FROM {database}.spans
    WHERE tenant_id = {tenant:String}
      AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
      AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}) AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64})
    LIMIT 1 BY trace_id, span_id
)
GROUP BY trace
