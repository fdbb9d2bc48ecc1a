-- The whole traces of one action: its record is spread over their spans.
SELECT * FROM otel.otel_traces
WHERE TraceId IN (SELECT TraceId FROM otel.otel_traces WHERE SpanAttributes['attribution.action.id'] = {action:String})
ORDER BY Timestamp
