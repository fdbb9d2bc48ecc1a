-- The spans that an id may mean: a span's id, a tool call's, an action's or a correlation id.
-- One branch an index: ClickHouse skips granules for each, which it would not do for an OR. Few columns in each, for
-- planning a query costs by the column.
SELECT matched_by, lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, attribution_action_id AS action,
       gen_ai_operation_name AS operation, gen_ai_tool_name AS tool, attribution_principal_id AS principal
FROM (
    SELECT 'span_id' AS matched_by, trace_id, span_id, attribution_action_id, gen_ai_operation_name, gen_ai_tool_name,
           attribution_principal_id
    FROM {database}.spans
    WHERE tenant_id = {tenant:String} AND span_id = toFixedString(unhex({span:String}), 8) AND {span:String} != '' LIMIT 1000
    UNION ALL
    SELECT 'tool_call_id' AS matched_by, trace_id, span_id, attribution_action_id, gen_ai_operation_name, gen_ai_tool_name,
           attribution_principal_id
    FROM {database}.spans
    WHERE tenant_id = {tenant:String} AND gen_ai_tool_call_id = {id:String} LIMIT 1000
    UNION ALL
    SELECT 'action_id' AS matched_by, trace_id, span_id, attribution_action_id, gen_ai_operation_name, gen_ai_tool_name,
           attribution_principal_id
    FROM {database}.spans
    WHERE tenant_id = {tenant:String} AND attribution_action_id = {id:String} LIMIT 1000
    UNION ALL
    SELECT 'correlation_id' AS matched_by, trace_id, span_id, attribution_action_id, gen_ai_operation_name, gen_ai_tool_name,
           attribution_principal_id
    FROM {database}.spans
    WHERE tenant_id = {tenant:String} AND attribution_correlation_id = {id:String} LIMIT 1000
)
