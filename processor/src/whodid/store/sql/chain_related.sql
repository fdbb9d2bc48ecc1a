{%- from "parts/look_up.sql" import in_its_times, settings -%}
-- Spans of the same task or with the same correlation id, in whichever trace, whose chain is a beginning of this one
-- or goes on from it.
SELECT if(attribution_task_id IN {tasks:Array(String)}, 'same_task', 'same_correlation') AS how,
       lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent, name,
       toUnixTimestamp64Nano(start_time) AS start_ns, toUnixTimestamp64Nano(end_time) AS end_ns, service_name,
       gen_ai_operation_name, gen_ai_agent_name, attribution_agent_instance_id, attribution_agent_identity_id,
       attribution_initiator_id, attribution_principal_id, attribution_delegation_chain, attribution_task_id
FROM {database}.spans
PREWHERE tenant_id = {tenant:String}{{ in_its_times(given) }}
  AND (attribution_task_id IN {tasks:Array(String)} OR attribution_correlation_id IN {correlations:Array(String)})
  AND attribution_delegation_chain[1] = {chain:Array(String)}[1]
  AND arraySlice(attribution_delegation_chain, 1, length({chain:Array(String)}))
    = arraySlice({chain:Array(String)}, 1, length(attribution_delegation_chain))
ORDER BY start_time, span_id, how DESC
LIMIT 1 BY trace_id, attribution_delegation_chain, gen_ai_operation_name = 'invoke_agent'
LIMIT {limit:UInt32}
{{ settings(given) }}
