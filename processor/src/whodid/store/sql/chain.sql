{%- from "parts/look_up.sql" import settings -%}
-- The spans of some traces with what a delegation is told by, and the spans that they link to. The index says when the
-- traces were: the sort key of spans begins with the time.
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent, name,
       toUnixTimestamp64Nano(start_time) AS start_ns, toUnixTimestamp64Nano(end_time) AS end_ns, service_name,
       gen_ai_operation_name, gen_ai_agent_name, gen_ai_tool_call_id, attribution_agent_instance_id,
       attribution_agent_identity_id, attribution_initiator_id, attribution_principal_id,
       attribution_delegation_chain, attribution_task_id, attribution_task_parent_id, attribution_correlation_id,
       attribution_action_id, attribution_action_mode,
       arrayMap(id -> lower(hex(id)), `links.trace_id`) AS link_traces,
       arrayMap(id -> lower(hex(id)), `links.span_id`) AS link_spans
FROM {database}.spans
PREWHERE tenant_id = {tenant:String}
  AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
  AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
  AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
ORDER BY start_time, span_id
LIMIT {limit:UInt32}
{{ settings(given) }}
