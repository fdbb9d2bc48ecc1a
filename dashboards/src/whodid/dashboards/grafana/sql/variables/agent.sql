-- Agents that acted in this time.
-- columns: agent LowCardinality(String)
SELECT DISTINCT gen_ai_agent_name AS agent
FROM {database}.actions_hourly
WHERE {tenant} AND hour >= toStartOfHour($__fromTime) AND hour <= $__toTime AND gen_ai_agent_name != ''
ORDER BY agent
LIMIT 1000
