-- Spans stored a second, and findings.
-- columns: time DateTime, what String, rate Float64
SELECT $__timeInterval(at) AS time, if(metric = 'whodid.store.spans', 'spans', 'findings') AS what,
    sum(growth) / $__interval_s AS rate
FROM {increments}
WHERE metric IN ('whodid.store.spans', 'whodid.validator.findings')
GROUP BY time, what
ORDER BY time, what
