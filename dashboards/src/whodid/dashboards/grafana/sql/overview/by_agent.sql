-- Actions that ran or were held back, by agent and hour.
-- columns: time DateTime64(0, 'UTC'), agent String, actions UInt64
SELECT hour AS time, if(agent = '', '(nobody)', agent) AS agent, sum(actions) AS actions
FROM {counted}
GROUP BY time, agent
ORDER BY time, agent
