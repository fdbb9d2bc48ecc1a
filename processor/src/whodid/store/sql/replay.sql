{%- from "parts/look_up.sql" import settings -%}
-- What happened in a session, in the order of time: the spans of its traces that name it, and those in between that
-- name no session at all. `{traces}` and their bounds come from `replay_traces`. What is counted over all of them
-- (OVER ()) is the same on every row and independent of the page, so the first of all comes with every page.
SELECT *, (start_ns, trace, span) > ({after_ns:Int64}, {after_trace:String}, {after_span:String}) AS listed
FROM (
    SELECT s.*, parents.start_ns AS above_ns, parents.gen_ai_agent_name AS above_agent,
        parents.attribution_principal_id AS above_principal, parents.attribution_task_id AS above_task,
        count() OVER () AS span_count, uniqExact(s.trace) OVER () AS trace_count,
        min(s.start_ns) OVER () AS first_ns, max(s.end_ns) OVER () AS last_ns,
        countIf(s.belongs_by = 'trace') OVER () AS by_trace_count,
        countIf(s.differs) OVER () AS differing_count,
        countIf(s.parent != '0000000000000000' AND above_ns = 0) OVER () AS orphan_count,
        groupUniqArrayIf(20)(s.attribution_principal_id, s.attribution_principal_id != '') OVER () AS principals,
        row_number() OVER (ORDER BY s.start_ns, s.trace, s.span) AS nth
    FROM (
        SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent,
            toUnixTimestamp64Nano(start_time) AS start_ns, toUnixTimestamp64Nano(end_time) AS end_ns,
            name, kind, service_name, status_code, error_type, gen_ai_operation_name, mcp_method_name, gen_ai_agent_name,
            gen_ai_tool_name, attribution_principal_id, attribution_task_id, attribution_action_id,
            attribution_action_mode, attribution_action_effect, attribution_resource_id, attribution_credential_id,
            attribution_approval_id, attribution_approval_status, attribution_approval_approver_id,
            attribution_policy_decision_outcome, attribution_policy_enforcement_action, attribution_result_source,
            multiIf(session_id = {session:String}, 'session', gen_ai_conversation_id = {session:String}, 'conversation',
                'trace') AS belongs_by,
            cityHash64(start_time, end_time, name, status_code, gen_ai_agent_name, attribution_principal_id,
                attribution_action_id, attribution_policy_decision_outcome, gen_ai_tool_name) AS content,
            min(content) OVER same != max(content) OVER same AS differs
        FROM {database}.spans
        PREWHERE tenant_id = {tenant:String}
          AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
          AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
          AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
          AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
        WHERE session_id = {session:String} OR gen_ai_conversation_id = {session:String}
           OR session_id = '' AND gen_ai_conversation_id = ''
        WINDOW same AS (PARTITION BY trace_id, span_id)
        ORDER BY start_time, service_name, content
        LIMIT 1 BY trace_id, span_id
    ) AS s
    LEFT JOIN (
        SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, toUnixTimestamp64Nano(start_time) AS start_ns,
            gen_ai_agent_name, attribution_principal_id, attribution_task_id
        FROM {database}.spans
        PREWHERE tenant_id = {tenant:String}
          AND trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
          AND start_time >= fromUnixTimestamp64Nano({first_ns:Int64}, 'UTC')
          AND start_time <= fromUnixTimestamp64Nano({last_ns:Int64}, 'UTC')
        ORDER BY start_time, service_name
        LIMIT 1 BY trace_id, span_id
    ) AS parents ON s.trace = parents.trace AND s.parent = parents.span
)
WHERE (listed AND (NOT {only_actions:Bool} OR attribution_action_id != ''
        OR gen_ai_operation_name IN ('execute_tool', 'evaluate_policy', 'resolve_approval'))) OR nth = 1
ORDER BY start_ns, trace, span
LIMIT {limit:UInt32}
{{ settings(given) }}
