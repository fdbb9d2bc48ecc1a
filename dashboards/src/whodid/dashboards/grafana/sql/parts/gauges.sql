-- Gauges of the processors.
SELECT TimeUnix AS at, ResourceAttributes['service.instance.id'] AS instance, MetricName AS metric, Value AS value
FROM {metrics}.otel_metrics_gauge
WHERE ServiceName = 'whodid' AND $__timeFilter_ms(TimeUnix)
