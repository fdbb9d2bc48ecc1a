-- How long the oldest acknowledged request has been waiting for the store, by process. An alert rule looks at this.
-- columns: time DateTime, instance String, seconds Float64
SELECT $__timeInterval(at) AS time, instance, max(value) AS seconds
FROM {gauges}
WHERE metric = 'whodid.spool.oldest.age'
GROUP BY time, instance
ORDER BY time, instance
