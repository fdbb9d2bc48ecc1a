-- By how much the counters of the processors grew from one report to the next. A counter that is smaller than before
-- began anew. The first report of a time is a beginning and not growth.
SELECT at, metric, attributes, if(value >= before, value - before, value) AS growth
FROM (
    SELECT TimeUnix AS at, MetricName AS metric, Attributes AS attributes, Value AS value,
        lagInFrame(Value, 1, Value) OVER (
            PARTITION BY ResourceAttributes['service.instance.id'], MetricName, Attributes ORDER BY TimeUnix
            ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS before
    FROM {metrics}.otel_metrics_sum
    WHERE ServiceName = 'whodid' AND $__timeFilter_ms(TimeUnix)
)
