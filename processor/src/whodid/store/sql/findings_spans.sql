-- The spans that some findings are about. The index says when the traces were.
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent, name,
    service_name, toUnixTimestamp64Nano(start_time) AS start_ns, gen_ai_operation_name, mcp_method_name,
    gen_ai_agent_name, gen_ai_tool_name, attribution_principal_id, attribution_action_id
FROM {database}.spans
WHERE tenant_id = {tenant:String}
  AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
  AND span_id IN (SELECT toFixedString(unhex(arrayJoin({spans:Array(String)})), 8))
  AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
  AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
ORDER BY start_time, span_id
LIMIT 1 BY trace, span
LIMIT {limit:UInt32}
