-- The spans of some traces with all that a record is made of, in the order of their start. The index says when the traces
-- were: the sort key of spans begins with the time. Each column costs, however few the rows: those are left out that
-- no answer is made from.
WITH (
    SELECT (min(first_time), max(last_time)) FROM {database}.trace_index
    WHERE tenant_id = {tenant:String}
      AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
) AS times
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent,
       * EXCEPT (trace_id, span_id, parent_span_id, tenant_id, day,
                 kind, status_message, trace_state, flags,
                 dropped_attributes_count, dropped_events_count, dropped_links_count,
                 scope_name, scope_version, schema_url, dialect,
                 attributes, attributes_other, resource_attributes, resource_attributes_other,
                 scope_attributes, scope_attributes_other)
       EXCEPT (`events.time`, `events.name`, `events.attributes`, `events.attributes_other`,
               `links.trace_id`, `links.span_id`, `links.trace_state`, `links.attributes`, `links.attributes_other`),
       toUnixTimestamp64Nano(start_time) AS start_ns, toUnixTimestamp64Nano(end_time) AS end_ns
FROM {database}.spans
WHERE tenant_id = {tenant:String}
  AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
  AND start_time >= times.1 AND start_time <= times.2
ORDER BY start_time, span_id
LIMIT {limit:UInt32}
