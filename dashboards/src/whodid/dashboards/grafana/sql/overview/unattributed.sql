-- Actions of which no span says which agent acted, for whom, who started it, or for which task; the newest first.
-- columns: at DateTime64(9, 'UTC'), lacks String, agent String, service String,
-- columns: tool String, credential String, action String, trace String
SELECT at, arrayStringConcat(arrayFilter((what, said) -> said = '', ['agent', 'principal', 'initiator', 'task'],
        [toString(agent), principal, initiator, task]), ', ') AS lacks,
    agent, service, tool, credential, key AS action, lower(hex(trace_id)) AS trace
FROM {unattributed}
ORDER BY at DESC
LIMIT 200
