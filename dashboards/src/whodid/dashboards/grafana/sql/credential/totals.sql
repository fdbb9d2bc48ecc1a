-- The chosen credentials, how often they were used, and how often by no agent of ours.
-- columns: credentials UInt64, uses UInt64, unenrolled UInt64, agents UInt64, principals UInt64
SELECT uniqExact(credential) AS credentials, count() AS uses, countIf(NOT enrolled) AS unenrolled,
    uniqExactIf(agent, agent != '') AS agents, uniqExactIf(principal, principal != '') AS principals
FROM {credential_uses}
WHERE $__conditionalAll(credential IN (${credential:singlequote}), $credential)
