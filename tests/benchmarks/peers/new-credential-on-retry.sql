-- The same arguments of the same tool in one task, failed with one credential and repeated with another.
SELECT SpanAttributes['attribution.task.id'] AS task, SpanAttributes['attribution.action.arguments.hash'] AS arguments,
       groupArray((Timestamp, SpanId, StatusCode, SpanAttributes['attribution.credential.id'])) AS attempts,
       uniqExact(SpanAttributes['attribution.credential.id']) AS credentials,
       countIf(SpanAttributes['error.type'] != '') AS failed
FROM otel.otel_traces
WHERE SpanAttributes['gen_ai.operation.name'] = 'execute_tool' AND SpanAttributes['attribution.credential.id'] != ''
  AND Timestamp >= {since:DateTime64(9, 'UTC')} AND Timestamp < {until:DateTime64(9, 'UTC')}
GROUP BY task, arguments
HAVING credentials > 1 AND failed > 0
LIMIT 100
