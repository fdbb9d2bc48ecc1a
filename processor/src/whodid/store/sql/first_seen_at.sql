-- The first span with each of some agents or tools, looked for in the hours in which they were counted first.
SELECT toString(if({kind:String} = 'agent', s.gen_ai_agent_name, s.gen_ai_tool_name)) AS value,
    toUnixTimestamp64Nano(min(s.start_time)) AS start_ns, lower(hex(argMin(s.trace_id, (s.start_time, s.span_id)))) AS trace,
    lower(hex(argMin(s.span_id, (s.start_time, s.span_id)))) AS span,
    lower(hex(argMin(s.parent_span_id, (s.start_time, s.span_id)))) AS parent,
    argMin(s.service_name, (s.start_time, s.span_id)) AS service_name,
    argMin(toString(s.gen_ai_agent_name), (s.start_time, s.span_id)) AS gen_ai_agent_name,
    argMin(s.attribution_principal_id, (s.start_time, s.span_id)) AS attribution_principal_id
FROM {database}.spans AS s
WHERE tenant_id = {tenant:String}
  AND s.start_time >= {from:DateTime64(9,'UTC')} AND s.start_time < {to:DateTime64(9,'UTC')}
  AND toStartOfFiveMinutes(s.start_time) IN (
      SELECT arrayJoin(arrayFlatten(arrayMap(hour_s -> arrayMap(step -> toDateTime(hour_s + 300 * step, 'UTC'), range(12)),
          {hours:Array(UInt32)}))))
  AND s.gen_ai_operation_name != ''
  AND if({kind:String} = 'agent', s.gen_ai_agent_name, s.gen_ai_tool_name) IN {values:Array(String)}
GROUP BY value
