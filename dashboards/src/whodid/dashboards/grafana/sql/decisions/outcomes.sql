-- Decisions over time, by what was decided.
-- columns: time DateTime('UTC'), outcome String, decisions UInt64
SELECT $__timeInterval(start_time) AS time,
    if(attribution_policy_decision_outcome = '', '(not said)', attribution_policy_decision_outcome) AS outcome,
    count() AS decisions
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time) AND gen_ai_operation_name = 'evaluate_policy'
GROUP BY time, outcome
ORDER BY time, outcome
