-- Of spans that are in the store more than once, those whose copies differ in anything that was sent. The day is not: it
-- may be that of the arrival. All columns are read, which is why it is asked only where there is a second copy.
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span
FROM (
    SELECT trace_id, span_id, sipHash128(toString(tuple(* EXCEPT (tenant_id, day)))) AS content
    FROM {database}.spans
    WHERE tenant_id = {tenant:String}
      AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
      AND span_id IN (SELECT toFixedString(unhex(arrayJoin({spans:Array(String)})), 8))
      AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
      AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
)
GROUP BY trace_id, span_id
HAVING uniqExact(content) > 1
