-- Between which times the spans of some traces are. Asked for by itself: as a subquery of what it bounds it costs more
-- than a query of its own.
SELECT toUnixTimestamp64Nano(min(first_time)) AS first_ns, toUnixTimestamp64Nano(max(last_time)) AS last_ns
FROM {database}.trace_index
WHERE tenant_id = {tenant:String}
  AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
SETTINGS max_threads = 1
