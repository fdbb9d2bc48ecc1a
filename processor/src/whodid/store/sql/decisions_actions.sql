-- Which of some actions ran: the spans of their execution. The index says when the traces were.
SELECT lower(hex(trace_id)) AS trace, attribution_action_id AS action,
    groupUniqArray(20)(lower(hex(span_id))) AS spans,
    countIf(status_code = 'ERROR' OR error_type != '') > 0 AS failed
FROM {database}.spans
WHERE tenant_id = {tenant:String} AND attribution_action_id IN {actions:Array(String)}
  AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
  AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
  AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
  AND (gen_ai_operation_name = 'execute_tool' OR mcp_method_name = 'tools/call')
GROUP BY trace_id, action
