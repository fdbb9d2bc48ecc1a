-- Actions whose principal is not that of the span above them.
SELECT below.Timestamp, below.TraceId, below.SpanId, below.SpanAttributes['attribution.principal.id'] AS principal,
       above.SpanAttributes['attribution.principal.id'] AS above_principal
FROM otel.otel_traces AS below
INNER JOIN otel.otel_traces AS above ON above.TraceId = below.TraceId AND above.SpanId = below.ParentSpanId
WHERE below.Timestamp >= {since:DateTime64(9, 'UTC')} AND below.Timestamp < {until:DateTime64(9, 'UTC')}
  AND above.Timestamp >= {since:DateTime64(9, 'UTC')} AND above.Timestamp < {until:DateTime64(9, 'UTC')}
  AND below.SpanAttributes['gen_ai.operation.name'] = 'execute_tool'
  AND principal != '' AND above_principal != '' AND principal != above_principal
ORDER BY below.Timestamp
LIMIT 100
