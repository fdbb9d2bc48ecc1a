-- A session, in the order of its time.
SELECT Timestamp, TraceId, SpanId, ParentSpanId, SpanName, ServiceName, StatusCode, Duration, SpanAttributes
FROM otel.otel_traces
WHERE SpanAttributes['session.id'] = {session:String}
ORDER BY Timestamp
