-- Uses of which no agent of ours says that it was it, the newest first.
-- columns: at DateTime64(9, 'UTC'), credential String, service String, agent String,
-- columns: tool String, resource String, action String, trace String
SELECT at, credential, service, agent, tool, resource, key AS action, lower(hex(trace_id)) AS trace
FROM {credential_uses}
WHERE NOT enrolled AND $__conditionalAll(credential IN (${credential:singlequote}), $credential)
ORDER BY at DESC
LIMIT 200
