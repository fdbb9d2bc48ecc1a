{%- from "parts/look_up.sql" import settings -%}
-- What is told beside some decisions, in one reading: the parents of their spans, and the executions of their actions.
-- The index says when the traces were.
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent,
       gen_ai_agent_name, attribution_principal_id, attribution_task_id, attribution_action_id AS action,
       attribution_action_id IN {actions:Array(String)}
           AND (gen_ai_operation_name = 'execute_tool' OR mcp_method_name = 'tools/call') AS executes,
       status_code = 'ERROR' OR error_type != '' AS failed
FROM {database}.spans
PREWHERE tenant_id = {tenant:String}
  AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
  AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
  AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
WHERE executes OR span_id IN (SELECT toFixedString(unhex(arrayJoin({parents:Array(String)})), 8))
ORDER BY start_time, span_id
LIMIT {limit:UInt32}
{{ settings(given) }}
