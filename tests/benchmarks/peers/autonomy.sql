-- What a task's approvals were for, and what was done in it.
SELECT Timestamp, TraceId, SpanId, SpanAttributes
FROM otel.otel_traces
WHERE SpanAttributes['attribution.task.id'] = {task:String}
  AND SpanAttributes['gen_ai.operation.name'] IN ('execute_tool', 'resolve_approval', 'evaluate_policy')
ORDER BY Timestamp
