-- Agents or tools whose first hour is in a time, the latest first, from the hourly counts of everything that is stored; and
-- since when there are counts at all.
SELECT value, toUnixTimestamp64Second(first_hour) AS hour_s, span_count, toUnixTimestamp64Second(oldest) AS oldest_s
FROM (
    SELECT toString(if({kind:String} = 'agent', gen_ai_agent_name, gen_ai_tool_name)) AS value, min(hour) AS first_hour,
        sumIf(actions, hour < {until:DateTime64(9,'UTC')}) AS span_count, min(first_hour) OVER () AS oldest
    FROM {database}.actions_hourly
    WHERE tenant_id = {tenant:String}
    GROUP BY value
)
WHERE value != '' AND first_hour >= {since_hour:DateTime64(9,'UTC')} AND first_hour < {until:DateTime64(9,'UTC')}
ORDER BY first_hour DESC
LIMIT {limit:UInt32} WITH TIES
