{%- from "parts/look_up.sql" import settings -%}
-- What is wrong with the spans of some traces. The sort key is rule and time: a period is a few granules of each rule.
SELECT DISTINCT lower(hex(span_id)) AS span, rule, severity, attribute, message
FROM {database}.findings
PREWHERE tenant_id = {tenant:String}
  AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
  AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
  AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
ORDER BY span, rule, attribute
LIMIT {limit:UInt32}
{{ settings(given) }}
