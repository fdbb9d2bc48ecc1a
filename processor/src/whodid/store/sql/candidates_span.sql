-- The spans that a span's id means.
SELECT 'span_id' AS matched_by, lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span,
    attribution_action_id AS action, gen_ai_operation_name AS operation, gen_ai_tool_name AS tool,
    attribution_principal_id AS principal
FROM {database}.spans
WHERE tenant_id = {tenant:String} AND span_id = toFixedString(unhex({span:String}), 8)
LIMIT 1000
