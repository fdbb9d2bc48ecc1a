-- Whole spans of some traces, and those that resolve some approvals, in the order of their start.
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent,
       * EXCEPT (trace_id, span_id, parent_span_id, tenant_id, day,
                 attributes, attributes_other, resource_attributes, resource_attributes_other,
                 scope_attributes, scope_attributes_other)
       EXCEPT (`events.time`, `events.name`, `events.attributes`, `events.attributes_other`,
               `links.trace_id`, `links.span_id`, `links.trace_state`, `links.attributes`, `links.attributes_other`),
       toUnixTimestamp64Nano(start_time) AS start_ns, toUnixTimestamp64Nano(end_time) AS end_ns
FROM {database}.spans
WHERE tenant_id = {tenant:String}
  AND (trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
       OR attribution_approval_id IN {approvals:Array(String)} AND gen_ai_operation_name = 'resolve_approval')
ORDER BY start_time, span_id
LIMIT {limit:UInt32}
