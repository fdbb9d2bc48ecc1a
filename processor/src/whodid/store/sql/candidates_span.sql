-- The spans that a span's id means.
SELECT 'span_id' AS matched_by, lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span,
    attribution_action_id AS action, gen_ai_operation_name, gen_ai_tool_name AS tool,
    attribution_principal_id AS principal, attribution_task_id,
    attribution_task_parent_id, attribution_correlation_id, attribution_delegation_chain
FROM {database}.spans
WHERE tenant_id = {tenant:String} AND span_id = toFixedString(unhex({span:String}), 8)
LIMIT 1000
