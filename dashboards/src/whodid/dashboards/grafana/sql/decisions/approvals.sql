-- What people approved or refused, the newest first.
-- columns: at DateTime64(9, 'UTC'), status LowCardinality(String), approver String, agent LowCardinality(String),
-- columns: tool LowCardinality(String), principal String, approval String, trace String
SELECT start_time AS at, attribution_approval_status AS status, attribution_approval_approver_id AS approver,
    gen_ai_agent_name AS agent, gen_ai_tool_name AS tool, attribution_principal_id AS principal,
    attribution_approval_id AS approval, lower(hex(trace_id)) AS trace
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time) AND gen_ai_operation_name = 'resolve_approval'
ORDER BY start_time DESC
LIMIT 1 BY trace_id, span_id
LIMIT 200
