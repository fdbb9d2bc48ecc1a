-- How much waits for the store on disk, and where senders are told to retry.
-- columns: time DateTime, of String, bytes Float64
SELECT $__timeInterval(at) AS time, concat(instance, if(metric = 'whodid.spool.limit', ' limit', '')) AS of,
    max(value) AS bytes
FROM {gauges}
WHERE metric IN ('whodid.spool.size', 'whodid.spool.limit')
GROUP BY time, of
ORDER BY time, of
