-- The traces of one action, and every other span of its task: a delegation may lead through several traces.
WITH (SELECT any(SpanAttributes['attribution.task.id']) FROM otel.otel_traces
      WHERE SpanAttributes['attribution.action.id'] = {action:String}) AS task
SELECT Timestamp, TraceId, SpanId, ParentSpanId, ServiceName, SpanAttributes, Links.TraceId, Links.SpanId
FROM otel.otel_traces
WHERE SpanAttributes['attribution.task.id'] = task
ORDER BY Timestamp
