-- Every agent that acted, the busiest first.
-- columns: agent LowCardinality(String), ran UInt64, held_back UInt64, failed UInt64, tools UInt64, services String,
-- columns: last_hour DateTime64(0, 'UTC')
SELECT agent, sumIf(actions, executed) AS ran, sumIf(actions, NOT executed) AS held_back, sumIf(errors, executed) AS failed,
    uniqExactIf(tool, tool != '') AS tools,
    arrayStringConcat(arraySort(groupUniqArray(20)(service)), ', ') AS services, max(hour) AS last_hour
FROM {counted}
GROUP BY agent
ORDER BY ran + held_back DESC, agent
LIMIT 500
