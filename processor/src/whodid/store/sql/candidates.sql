{%- from "parts/look_up.sql" import in_its_times, settings -%}
-- The spans that an id may mean: a tool call's, an action's or a correlation id.
SELECT multiIf(gen_ai_tool_call_id = {id:String}, 'tool_call_id', attribution_action_id = {id:String}, 'action_id',
        'correlation_id') AS matched_by,
    lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, attribution_action_id AS action,
    gen_ai_operation_name, gen_ai_tool_name AS tool, attribution_principal_id AS principal, attribution_task_id,
    attribution_task_parent_id, attribution_correlation_id, attribution_delegation_chain
FROM {database}.spans
PREWHERE tenant_id = {tenant:String}{{ in_its_times(given) }}
  AND (gen_ai_tool_call_id = {id:String} OR attribution_action_id = {id:String} OR attribution_correlation_id = {id:String})
LIMIT 1000
{{ settings(given) }}
