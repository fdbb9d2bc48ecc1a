-- What an agent reached in a time.
SELECT SpanAttributes['attribution.principal.id'] AS principal, SpanAttributes['gen_ai.tool.name'] AS tool,
       SpanAttributes['attribution.resource.id'] AS resource, SpanAttributes['session.id'] AS session,
       count() AS spans, uniqExact(SpanAttributes['attribution.action.id']) AS actions
FROM otel.otel_traces
WHERE SpanAttributes['gen_ai.agent.name'] = {agent:String}
  AND Timestamp >= {since:DateTime64(9, 'UTC')} AND Timestamp < {until:DateTime64(9, 'UTC')}
GROUP BY ALL
