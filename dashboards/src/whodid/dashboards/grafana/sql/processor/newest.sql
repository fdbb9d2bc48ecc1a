-- What the store has of this time, how old its newest span is, and how many spans came with a clock that cannot be
-- right. A store without traffic grows old too.
-- columns: spans UInt64, seconds_since_newest Float64, wrong_clocks UInt64
SELECT count() AS spans,
    toFloat64(if(count() = 0, nan, dateDiff('millisecond', max(start_time), now64(9, 'UTC')) / 1000))
        AS seconds_since_newest,
    ifNull((SELECT uniqExact(trace_id, span_id) FROM {database}.findings
     WHERE {tenant} AND $__timeFilter_ms(start_time) AND rule = 'time_outside_window'), 0) AS wrong_clocks
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time)
