-- The first hundred decisions with an outcome in a time.
SELECT Timestamp, TraceId, SpanId, SpanAttributes
FROM otel.otel_traces
WHERE SpanAttributes['attribution.policy.decision.outcome'] = {outcome:String}
  AND SpanAttributes['gen_ai.operation.name'] = 'evaluate_policy'
  AND Timestamp >= {since:DateTime64(9, 'UTC')} AND Timestamp < {until:DateTime64(9, 'UTC')}
ORDER BY Timestamp
LIMIT 100
