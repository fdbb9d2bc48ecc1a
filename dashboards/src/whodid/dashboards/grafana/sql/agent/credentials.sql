-- The credentials that the chosen agents used.
-- columns: credential String, agent String, uses UInt64, first_use DateTime64(9, 'UTC'),
-- columns: last_use DateTime64(9, 'UTC')
SELECT credential, agent, count() AS uses, min(at) AS first_use, max(at) AS last_use
FROM {credential_uses}
WHERE $__conditionalAll(agent IN (${agent:singlequote}), $agent)
GROUP BY credential, agent
ORDER BY last_use DESC
LIMIT 200
