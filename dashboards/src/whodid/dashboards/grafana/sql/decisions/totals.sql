-- Decisions of policies, how many of them denied and how many actions were held back, and approvals by people.
-- columns: decisions UInt64, denied UInt64, held_back UInt64, approvals UInt64, refused_approvals UInt64
SELECT countIf(gen_ai_operation_name = 'evaluate_policy') AS decisions,
    countIf(gen_ai_operation_name = 'evaluate_policy' AND attribution_policy_decision_outcome = 'deny') AS denied,
    countIf(gen_ai_operation_name = 'evaluate_policy' AND attribution_policy_enforcement_action = 'blocked')
        AS held_back,
    countIf(gen_ai_operation_name = 'resolve_approval' AND attribution_approval_status = 'granted') AS approvals,
    countIf(gen_ai_operation_name = 'resolve_approval' AND attribution_approval_status != 'granted')
        AS refused_approvals
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time)
  AND gen_ai_operation_name IN ('evaluate_policy', 'resolve_approval')
