{%- from "parts/look_up.sql" import settings -%}
-- What the parents of some spans say: only for what it takes to tell propagated from self-asserted. The index says when
-- the traces were; a parent is looked for in the given time alone.
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent,
       gen_ai_agent_name, attribution_agent_instance_id, attribution_agent_identity_id,
       attribution_initiator_id, attribution_principal_id, attribution_delegation_chain, attribution_task_id,
       attribution_credential_id, attribution_action_mode
FROM {database}.spans
PREWHERE tenant_id = {tenant:String}
  AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
  AND span_id IN (SELECT toFixedString(unhex(arrayJoin({parents:Array(String)})), 8))
  AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
  AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
  AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
ORDER BY start_time, span_id
LIMIT {limit:UInt32}
{{ settings(given) }}
