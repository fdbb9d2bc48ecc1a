-- The same actions by what the policies said of them.
-- columns: time DateTime64(0, 'UTC'), decision String, actions UInt64
SELECT hour AS time, if(decision = '', '(none)', decision) AS decision, sum(actions) AS actions
FROM {counted}
GROUP BY time, decision
ORDER BY time, decision
