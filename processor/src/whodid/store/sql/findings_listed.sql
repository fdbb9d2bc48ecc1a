-- What the validator found in a time, newest first. A span that was sent twice has its findings twice, one behind the other.
SELECT toUnixTimestamp64Nano(start_time) AS start_ns, lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span,
    rule, severity, attribute, message,
    lower(hex(sipHash64(span_id, rule, attribute, message))) AS key
FROM {database}.findings
WHERE tenant_id = {tenant:String}
  AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
  AND ({all_rules:Bool} OR rule IN {rules:Array(String)})
  AND (empty({severities:Array(String)}) OR severity IN {severities:Array(String)})
  AND ({trace:String} = '' OR trace_id = toFixedString(unhex({trace:String}), 16))
  AND ({span:String} = '' OR span_id = toFixedString(unhex({span:String}), 8))
  AND (start_ns, trace, key) < ({before_ns:Int64}, {before_trace:String}, {before_key:String})
ORDER BY start_ns DESC, trace DESC, key DESC
LIMIT {limit:UInt32}
