{%- from "parts/look_up.sql" import in_its_times, settings -%}
-- The actions that name some approvals and ran, oldest first: each action once, in its trace.
SELECT approval, action, lower(hex(trace_id)) AS trace, start_ns, spans, failed, arguments, tool, agent, call_id,
    count() OVER (PARTITION BY approval) AS use_count
FROM (
    SELECT attribution_approval_id AS approval, trace_id,
        if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key,
        max(attribution_action_id) AS action, toUnixTimestamp64Nano(min(start_time)) AS start_ns,
        groupUniqArray(20)(lower(hex(span_id))) AS spans, countIf(status_code = 'ERROR' OR error_type != '') > 0 AS failed,
        max(attribution_action_arguments_hash) AS arguments, max(gen_ai_tool_name) AS tool, max(gen_ai_agent_name) AS agent,
        max(gen_ai_tool_call_id) AS call_id
    FROM {database}.spans
    PREWHERE tenant_id = {tenant:String}{{ in_its_times(given) }}
      AND attribution_approval_id IN {approvals:Array(String)} AND start_time >= {earliest:DateTime64(9,'UTC')}
      AND (gen_ai_operation_name = 'execute_tool' OR mcp_method_name = 'tools/call')
      -- What asked for it and stopped has not run.
      AND attribution_approval_status != 'requested'
    GROUP BY approval, trace_id, key
)
ORDER BY start_ns, trace, action
LIMIT {shown:UInt32} BY approval
{{ settings(given) }}
