-- The last hundred failed tool calls of an agent in a time.
SELECT Timestamp, TraceId, SpanId, SpanAttributes
FROM otel.otel_traces
WHERE SpanAttributes['gen_ai.agent.name'] = {agent:String}
  AND SpanAttributes['gen_ai.operation.name'] = 'execute_tool'
  AND (StatusCode = 'Error' OR StatusCode = 'ERROR' OR SpanAttributes['error.type'] != '')
  AND Timestamp >= {since:DateTime64(9, 'UTC')} AND Timestamp < {until:DateTime64(9, 'UTC')}
ORDER BY Timestamp DESC
LIMIT 100
