-- Actions by agent, mode and decision, an hour each.
SELECT toStartOfHour(Timestamp) AS hour, SpanAttributes['gen_ai.agent.name'] AS agent,
       SpanAttributes['attribution.action.mode'] AS mode, SpanAttributes['attribution.policy.decision.outcome'] AS outcome,
       uniqExact(SpanAttributes['attribution.action.id']) AS actions, countIf(StatusCode = 'Error' OR StatusCode = 'ERROR') AS errors
FROM otel.otel_traces
WHERE Timestamp >= {since:DateTime64(9, 'UTC')} AND Timestamp < {until:DateTime64(9, 'UTC')}
  AND SpanAttributes['attribution.action.id'] != ''
GROUP BY ALL
ORDER BY hour
