-- What is wrong with the spans of some traces.
SELECT DISTINCT lower(hex(span_id)) AS span, rule, severity, attribute, message
FROM {database}.findings
WHERE tenant_id = {tenant:String}
  AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
ORDER BY span, rule, attribute
LIMIT {limit:UInt32}
