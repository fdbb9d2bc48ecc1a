-- Results from a cache whose producer acted for somebody else.
SELECT reader.Timestamp, reader.TraceId, reader.SpanId, producer.SpanId,
       reader.SpanAttributes['attribution.principal.id'] AS reader_principal,
       producer.SpanAttributes['attribution.principal.id'] AS producer_principal
FROM otel.otel_traces AS reader
INNER JOIN otel.otel_traces AS producer ON producer.SpanId = reader.SpanAttributes['attribution.result.origin.span_id']
WHERE reader.SpanAttributes['attribution.result.source'] = 'cache'
  AND reader.Timestamp >= {since:DateTime64(9, 'UTC')} AND reader.Timestamp < {until:DateTime64(9, 'UTC')}
  AND producer.Timestamp < {until:DateTime64(9, 'UTC')}
  AND producer.Timestamp >= {since:DateTime64(9, 'UTC')} - toIntervalDay(1)
  AND reader_principal != producer_principal
ORDER BY reader.Timestamp
LIMIT 100
