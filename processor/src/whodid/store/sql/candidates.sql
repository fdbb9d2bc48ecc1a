-- The spans that an id may mean: a tool call's, an action's or a correlation id.
SELECT multiIf(gen_ai_tool_call_id = {id:String}, 'tool_call_id', attribution_action_id = {id:String}, 'action_id',
        'correlation_id') AS matched_by,
    lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, attribution_action_id AS action,
    gen_ai_operation_name AS operation, gen_ai_tool_name AS tool, attribution_principal_id AS principal
FROM {database}.spans
PREWHERE tenant_id = {tenant:String}
  AND ({everywhere:Bool} OR toStartOfFiveMinutes(start_time) IN {steps:Array(DateTime('UTC'))})
  AND (gen_ai_tool_call_id = {id:String} OR attribution_action_id = {id:String} OR attribution_correlation_id = {id:String})
LIMIT 1000
SETTINGS max_threads = 1, query_plan_optimize_lazy_materialization = 0
