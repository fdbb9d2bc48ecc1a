-- Every credential that was used, those first that somebody unknown used.
-- columns: credential String, uses UInt64, unenrolled UInt64, agents String, principals UInt64, resources UInt64,
-- columns: first_use DateTime64(9, 'UTC'), last_use DateTime64(9, 'UTC')
SELECT credential, count() AS uses, countIf(NOT enrolled) AS unenrolled,
    arrayStringConcat(arraySort(groupUniqArrayIf(20)(agent, agent != '')), ', ') AS agents,
    uniqExactIf(principal, principal != '') AS principals, uniqExactIf(resource, resource != '') AS resources,
    min(at) AS first_use, max(at) AS last_use
FROM {credential_uses}
WHERE $__conditionalAll(credential IN (${credential:singlequote}), $credential)
GROUP BY credential
ORDER BY unenrolled DESC, uses DESC
LIMIT 500
