-- How often each rule was broken in a time.
SELECT rule, any(severity) AS severity, uniqExact(trace_id, span_id) AS span_count,
    arraySort(groupUniqArray(5)(lower(hex(span_id)))) AS spans
FROM {database}.findings
WHERE tenant_id = {tenant:String}
  AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
GROUP BY rule
ORDER BY rule
