-- Actions of agents that ran, that a decision held back, and that failed; and how many agents and tools had a part.
-- From counts by the hour: the hour in which the time begins is whole.
-- columns: ran UInt64, held_back UInt64, failed UInt64, agents UInt64, tools UInt64
SELECT sumIf(actions, executed) AS ran, sumIf(actions, NOT executed) AS held_back, sumIf(errors, executed) AS failed,
    uniqExactIf(agent, agent != '') AS agents, uniqExactIf(tool, tool != '') AS tools
FROM {counted}
