-- Which rule of which policy decided what.
-- columns: policy LowCardinality(String), rule LowCardinality(String), outcome LowCardinality(String),
-- columns: enforcement LowCardinality(String), decisions UInt64, agents String, tools String,
-- columns: last_at DateTime64(9, 'UTC')
SELECT attribution_policy_id AS policy, attribution_policy_rule_id AS rule,
    attribution_policy_decision_outcome AS outcome, attribution_policy_enforcement_action AS enforcement,
    count() AS decisions,
    arrayStringConcat(arraySort(groupUniqArray(20)(gen_ai_agent_name)), ', ') AS agents,
    arrayStringConcat(arraySort(groupUniqArray(20)(gen_ai_tool_name)), ', ') AS tools, max(start_time) AS last_at
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time) AND gen_ai_operation_name = 'evaluate_policy'
GROUP BY policy, rule, outcome, enforcement
ORDER BY outcome = 'deny' DESC, decisions DESC
LIMIT 500
