-- How long the oldest acknowledged request has been waiting for the store, as each process said last. No row is an
-- alert too: then no process says anything.
-- columns: instance String, seconds Float64
SELECT instance, argMax(value, at) AS seconds
FROM {gauges}
WHERE metric = 'whodid.spool.oldest.age'
GROUP BY instance
