-- How long it took nineteen of twenty segments: from the first request to stored, and the insert alone. It is
-- told as where the histogram's bar ends, and never longer than an hour.
-- columns: time DateTime, what String, seconds Float64
SELECT time, what, bounds[least(rank, length(bounds))] AS seconds
FROM (
    SELECT $__timeInterval(at) AS time, if(metric = 'whodid.store.freshness', 'freshness', 'insert') AS what,
        any(bounds) AS bounds, sumForEach(growth) AS counts,
        arrayFirstIndex(so_far -> so_far >= 0.95 * arraySum(counts), arrayCumSum(counts)) AS rank
    FROM (
        SELECT TimeUnix AS at, MetricName AS metric, ExplicitBounds AS bounds,
            lagInFrame(BucketCounts, 1, BucketCounts) OVER (
                PARTITION BY ResourceAttributes['service.instance.id'], MetricName, Attributes ORDER BY TimeUnix
                ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS before,
            arrayMap((now, then) -> toFloat64(if(now >= then, now - then, now)), BucketCounts, before) AS growth
        FROM {metrics}.otel_metrics_histogram
        WHERE ServiceName = 'whodid' AND $__timeFilter_ms(TimeUnix)
          AND MetricName IN ('whodid.store.freshness', 'whodid.store.insert.duration')
    )
    GROUP BY time, what
    HAVING arraySum(counts) > 0
)
ORDER BY time, what
