-- 1 while a process cannot use the store.
-- columns: time DateTime, instance String, away Float64
SELECT $__timeInterval(at) AS time, instance, max(value) AS away
FROM {gauges}
WHERE metric = 'whodid.store.away'
GROUP BY time, instance
ORDER BY time, instance
