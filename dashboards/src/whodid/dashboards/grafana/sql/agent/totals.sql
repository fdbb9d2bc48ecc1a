-- Actions of the chosen agents that ran, that a decision held back, and that failed; and with how many tools.
-- From counts by the hour: the hour in which the time begins is whole.
-- columns: ran UInt64, held_back UInt64, failed UInt64, tools UInt64
SELECT sumIf(actions, executed) AS ran, sumIf(actions, NOT executed) AS held_back, sumIf(errors, executed) AS failed,
    uniqExactIf(tool, tool != '') AS tools
FROM {counted}
WHERE $__conditionalAll(agent IN (${agent:singlequote}), $agent)
