-- How often each rule was broken in a time, or each control that the rules bear on.
SELECT name, uniqExactMerge(spans_state) AS span_count, uniqExactMerge(found_state) AS finding_count,
    arraySort(arrayDistinct(groupArrayArray(severities))) AS severities, arraySort(groupArray(rule)) AS rules,
    toUnixTimestamp64Nano(min(first)) AS first_ns, toUnixTimestamp64Nano(max(last)) AS last_ns,
    arraySlice(arraySort(arrayDistinct(groupArrayArray(some))), 1, 5) AS spans
FROM (
    SELECT rule, uniqExactState(trace_id, span_id) AS spans_state,
        uniqExactState(trace_id, span_id, rule, attribute, message) AS found_state,
        groupUniqArray(5)(toString(severity)) AS severities, min(start_time) AS first, max(start_time) AS last,
        groupUniqArray(5)(lower(hex(span_id))) AS some
    FROM {database}.findings
    WHERE tenant_id = {tenant:String}
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
      AND ({all_rules:Bool} OR rule IN {rules:Array(String)})
      AND (empty({severities:Array(String)}) OR severity IN {severities:Array(String)})
      AND ({trace:String} = '' OR trace_id = toFixedString(unhex({trace:String}), 16))
      AND ({span:String} = '' OR span_id = toFixedString(unhex({span:String}), 8))
    GROUP BY rule
)
ARRAY JOIN if({by_control:Bool},
    arrayFilter((control, bearing) -> bearing = rule, {pair_controls:Array(String)}, {pair_rules:Array(String)}),
    [toString(rule)]) AS name
GROUP BY name
ORDER BY span_count DESC, name
