-- Requests that were refused, by receiver and reason.
-- columns: receiver String, reason String, requests Float64
SELECT attributes['otel.component.type'] AS receiver, attributes['error.type'] AS reason, sum(growth) AS requests
FROM {increments}
WHERE metric = 'whodid.receiver.requests' AND reason != ''
GROUP BY receiver, reason
ORDER BY requests DESC
