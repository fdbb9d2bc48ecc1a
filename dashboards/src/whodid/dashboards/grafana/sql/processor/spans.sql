-- Spans in the store by when they began, and the service that sent them.
-- columns: time DateTime('UTC'), service LowCardinality(String), spans UInt64
SELECT $__timeInterval(start_time) AS time, service_name AS service, count() AS spans
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time)
GROUP BY time, service
ORDER BY time, service
