-- The spans that resolve some approvals, in whichever trace.
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent,
       name, service_name, status_code,
       toUnixTimestamp64Nano(start_time) AS start_ns, toUnixTimestamp64Nano(end_time) AS end_ns,
       gen_ai_operation_name, attribution_approval_id, attribution_approval_status, attribution_approval_approver_id,
       attribution_approval_context_hash, attribution_approval_not_after
FROM {database}.spans
WHERE tenant_id = {tenant:String}
  AND ({everywhere:Bool} OR toStartOfFiveMinutes(start_time) IN {steps:Array(DateTime('UTC'))})
  AND attribution_approval_id IN {approvals:Array(String)} AND gen_ai_operation_name = 'resolve_approval'
ORDER BY start_time, span_id
LIMIT {limit:UInt32}
