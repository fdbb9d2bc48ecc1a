-- What was reached on somebody's behalf in a time.
SELECT SpanAttributes['gen_ai.agent.name'] AS agent, SpanAttributes['gen_ai.tool.name'] AS tool,
       SpanAttributes['attribution.resource.id'] AS resource, SpanAttributes['session.id'] AS session,
       count() AS spans, uniqExact(SpanAttributes['attribution.action.id']) AS actions
FROM otel.otel_traces
WHERE SpanAttributes['attribution.principal.id'] = {principal:String}
  AND Timestamp >= {since:DateTime64(9, 'UTC')} AND Timestamp < {until:DateTime64(9, 'UTC')}
GROUP BY ALL
