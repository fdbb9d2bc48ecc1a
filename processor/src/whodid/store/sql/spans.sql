{%- from "parts/look_up.sql" import settings -%}
-- The spans of some traces with all that a record is made of, in the order of their start. The index says when the traces
-- were: the sort key of spans begins with the time. Each column costs, however few the rows, and most of the time
-- goes into it: those are left out that no answer is made from.
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent,
       name, service_name, status_code, error_type,
       toUnixTimestamp64Nano(start_time) AS start_ns, toUnixTimestamp64Nano(end_time) AS end_ns,
       gen_ai_operation_name, mcp_method_name, gen_ai_agent_name, gen_ai_tool_name, gen_ai_tool_call_id,
       session_id, gen_ai_conversation_id,
       attribution_agent_instance_id, attribution_agent_identity_id,
       attribution_initiator_type, attribution_initiator_id, attribution_principal_type, attribution_principal_id,
       attribution_delegation_chain, attribution_correlation_id,
       attribution_task_id, attribution_task_parent_id, attribution_task_objective_hash,
       attribution_action_id, attribution_action_mode, attribution_action_arguments_hash, attribution_action_effect,
       attribution_policy_decision_id, attribution_policy_decision_outcome, attribution_policy_decision_reason,
       attribution_policy_enforcement_action, attribution_policy_rule_id, attribution_policy_id,
       attribution_policy_version, attribution_policy_engine_name, attribution_policy_context_value,
       attribution_policy_context_hash,
       attribution_approval_id, attribution_approval_status, attribution_approval_approver_id,
       attribution_approval_not_after,
       attribution_credential_id, attribution_credential_type, attribution_credential_issuer,
       attribution_credential_scopes, attribution_credential_not_after, attribution_credential_task_id,
       attribution_resource_type, attribution_resource_id, attribution_result_source
FROM {database}.spans
PREWHERE tenant_id = {tenant:String}
  AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
  AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
  AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
ORDER BY start_time, span_id
LIMIT {limit:UInt32}
{{ settings(given) }}
