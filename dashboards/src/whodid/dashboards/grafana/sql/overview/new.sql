-- Agents, tools and credentials that the store had not seen before this time.
-- columns: first_seen DateTime('UTC'), kind String, name String
SELECT * FROM (
    SELECT toDateTime(min(hour), 'UTC') AS first_seen, 'agent' AS kind, toString(gen_ai_agent_name) AS name
    FROM {database}.actions_hourly
    WHERE {tenant} AND gen_ai_agent_name != '' AND hour <= $__toTime
    GROUP BY gen_ai_agent_name
    HAVING min(hour) >= toStartOfHour($__fromTime)
    UNION ALL
    SELECT toDateTime(min(hour), 'UTC'), 'tool', toString(gen_ai_tool_name)
    FROM {database}.actions_hourly
    WHERE {tenant} AND gen_ai_tool_name != '' AND hour <= $__toTime
    GROUP BY gen_ai_tool_name
    HAVING min(hour) >= toStartOfHour($__fromTime)
    UNION ALL
    SELECT toDateTime(min(start_time), 'UTC'), 'credential', attribution_credential_id
    FROM {database}.spans
    WHERE {tenant} AND $__timeFilter_ms(start_time) AND attribution_credential_id != ''
      AND attribution_credential_id NOT IN (
        -- Not all that was before is read: id_times says in which five minutes there may be such a credential.
        SELECT attribution_credential_id FROM {database}.spans
        WHERE {tenant} AND start_time < $__fromTime_ms
          AND toStartOfFiveMinutes(start_time) IN (
            SELECT step FROM {database}.id_times
            WHERE {tenant} AND step <= $__fromTime AND id_hash IN (
                SELECT toUInt32(cityHash64('attribution_credential_id', attribution_credential_id))
                FROM {database}.spans
                WHERE {tenant} AND $__timeFilter_ms(start_time) AND attribution_credential_id != '')))
    GROUP BY attribution_credential_id
)
ORDER BY first_seen DESC, kind, name
LIMIT 200
