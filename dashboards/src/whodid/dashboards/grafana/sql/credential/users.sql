-- Who used the chosen credentials: which copy of which agent, for whom.
-- columns: credential String, agent String, instance String, identity String,
-- columns: principal String, uses UInt64, last_use DateTime64(9, 'UTC')
SELECT credential, agent, instance, identity, principal, count() AS uses, max(at) AS last_use
FROM {credential_uses}
WHERE $__conditionalAll(credential IN (${credential:singlequote}), $credential)
GROUP BY credential, agent, instance, identity, principal
ORDER BY uses DESC
LIMIT 500
