-- What the chosen agents did, by tool and hour.
-- columns: time DateTime64(0, 'UTC'), tool String, actions UInt64
SELECT hour AS time, if(tool = '', '(not said)', tool) AS tool, sum(actions) AS actions
FROM {counted}
WHERE $__conditionalAll(agent IN (${agent:singlequote}), $agent)
GROUP BY time, tool
ORDER BY time, tool
