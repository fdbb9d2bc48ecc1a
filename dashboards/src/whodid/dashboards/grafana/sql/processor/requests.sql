-- Requests a second: answered, and refused with the reason.
-- columns: time DateTime, answer String, requests Float64
SELECT $__timeInterval(at) AS time,
    concat(attributes['otel.component.type'],
        if(attributes['error.type'] = '', '', concat(' ', attributes['error.type']))) AS answer,
    sum(growth) / $__interval_s AS requests
FROM {increments}
WHERE metric = 'whodid.receiver.requests'
GROUP BY time, answer
ORDER BY time, answer
