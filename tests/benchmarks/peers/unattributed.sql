-- Executed tools that say no principal or no agent.
SELECT Timestamp, TraceId, SpanId, ServiceName, SpanAttributes
FROM otel.otel_traces
WHERE SpanAttributes['gen_ai.operation.name'] = 'execute_tool'
  AND (SpanAttributes['attribution.principal.id'] = '' OR SpanAttributes['gen_ai.agent.name'] = '')
  AND Timestamp >= {since:DateTime64(9, 'UTC')} AND Timestamp < {until:DateTime64(9, 'UTC')}
ORDER BY Timestamp
LIMIT 100
