-- A span with all that is stored of it, and its copies where it was sent several times. All columns are read, of few rows.
WITH (
    SELECT (min(first_time), max(last_time)) FROM {database}.trace_index
    WHERE tenant_id = {tenant:String} AND trace_id = toFixedString(unhex({trace:String}), 16)
) AS times
SELECT * EXCEPT (tenant_id, day, trace_id, span_id, parent_span_id, start_time, end_time, `events.time`, `links.trace_id`,
        `links.span_id`),
    lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent,
    toUnixTimestamp64Nano(start_time) AS start_ns, toUnixTimestamp64Nano(end_time) AS end_ns,
    arrayMap(at -> toUnixTimestamp64Nano(at), `events.time`) AS event_times_ns,
    arrayMap(id -> lower(hex(id)), `links.trace_id`) AS link_traces,
    arrayMap(id -> lower(hex(id)), `links.span_id`) AS link_spans
FROM {database}.spans
WHERE tenant_id = {tenant:String} AND trace_id = toFixedString(unhex({trace:String}), 16)
  AND span_id IN (SELECT toFixedString(unhex(arrayJoin({spans:Array(String)})), 8))
  AND start_time >= times.1 AND start_time <= times.2
ORDER BY start_time, span_id
LIMIT {limit:UInt32}
