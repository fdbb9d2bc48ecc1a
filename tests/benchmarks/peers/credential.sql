-- Every use of a credential.
SELECT Timestamp, TraceId, SpanId, ServiceName, SpanAttributes['gen_ai.operation.name'] AS operation,
       SpanAttributes['gen_ai.agent.name'] AS agent, SpanAttributes['attribution.principal.id'] AS principal,
       SpanAttributes['gen_ai.tool.name'] AS tool, SpanAttributes['attribution.task.id'] AS task,
       SpanAttributes['attribution.credential.not_after'] AS not_after
FROM otel.otel_traces
WHERE SpanAttributes['attribution.credential.id'] = {credential:String}
ORDER BY Timestamp
