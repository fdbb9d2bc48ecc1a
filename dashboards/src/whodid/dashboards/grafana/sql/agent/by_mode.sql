-- The same by mode: what a person started or approved, and what the agent did by itself.
-- columns: time DateTime64(0, 'UTC'), mode String, actions UInt64
SELECT hour AS time, if(mode = '', '(not said)', mode) AS mode, sum(actions) AS actions
FROM {counted}
WHERE $__conditionalAll(agent IN (${agent:singlequote}), $agent)
GROUP BY time, mode
ORDER BY time, mode
