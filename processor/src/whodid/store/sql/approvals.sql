{%- from "parts/look_up.sql" import in_its_times, settings -%}
-- The spans that resolve some approvals, in whichever trace.
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent,
       name, service_name, status_code,
       toUnixTimestamp64Nano(start_time) AS start_ns, toUnixTimestamp64Nano(end_time) AS end_ns,
       gen_ai_operation_name, attribution_approval_id, attribution_approval_status, attribution_approval_approver_id,
       attribution_approval_context_hash, attribution_approval_not_after
FROM {database}.spans
PREWHERE tenant_id = {tenant:String}{{ in_its_times(given) }}
  AND attribution_approval_id IN {approvals:Array(String)} AND gen_ai_operation_name = 'resolve_approval'
ORDER BY start_time, span_id
LIMIT {limit:UInt32}
{{ settings(given) }}
