{%- from "parts/look_up.sql" import settings -%}
-- The spans of a trace with what a line of its tree says. The index says when the trace was.
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent,
       name, service_name, status_code,
       toUnixTimestamp64Nano(start_time) AS start_ns, toUnixTimestamp64Nano(end_time) AS end_ns,
       gen_ai_operation_name, gen_ai_agent_name, attribution_principal_id, attribution_delegation_chain,
       attribution_action_id, attribution_action_mode, attribution_policy_decision_outcome,
       attribution_policy_enforcement_action, error_type
FROM {database}.spans
PREWHERE tenant_id = {tenant:String} AND trace_id = toFixedString(unhex({trace:String}), 16)
  AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
  AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
ORDER BY start_time, span_id
LIMIT {limit:UInt32}
{{ settings(given) }}
