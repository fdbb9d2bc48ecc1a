-- One decision, with what it was made on.
SELECT Timestamp, TraceId, SpanId, SpanAttributes
FROM otel.otel_traces
WHERE SpanAttributes['attribution.policy.decision.id'] = {decision:String}
ORDER BY Timestamp
