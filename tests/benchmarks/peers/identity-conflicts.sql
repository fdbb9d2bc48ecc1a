-- Identities that were claimed and are not the attested ones.
SELECT Timestamp, TraceId, SpanId, ServiceName, SpanAttributes['attribution.agent.identity.id'] AS claimed,
       ResourceAttributes['attribution.agent.attested.id'] AS attested
FROM otel.otel_traces
WHERE mapContains(ResourceAttributes, 'attribution.agent.attested.id') AND claimed != '' AND claimed != attested
  AND Timestamp >= {since:DateTime64(9, 'UTC')} AND Timestamp < {until:DateTime64(9, 'UTC')}
ORDER BY Timestamp
LIMIT 100
