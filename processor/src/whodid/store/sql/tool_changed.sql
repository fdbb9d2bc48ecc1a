-- Definitions that a tool was run with after another definition of it had been approved, and before this one was:
-- one row a service, tool and definition, at the first such run.
WITH granted AS (
    SELECT attribution_approval_id AS id, min(end_time) AS at, max(attribution_tool_definition_hash) AS seen,
        argMin(service_name, end_time) AS service, argMin(gen_ai_tool_name, end_time) AS tool,
        argMin(attribution_approval_approver_id, end_time) AS approver, lower(hex(argMin(span_id, end_time))) AS span
    FROM {database}.spans
    WHERE tenant_id = {tenant:String} AND gen_ai_operation_name = 'resolve_approval'
      AND attribution_approval_status = 'granted' AND attribution_approval_id != ''
      AND start_time < {until:DateTime64(9,'UTC')}
    GROUP BY attribution_approval_id
), runs AS (
    SELECT s.service_name AS service, toString(s.gen_ai_tool_name) AS tool, s.attribution_tool_definition_hash AS definition,
        lower(hex(s.trace_id)) AS trace, min(s.start_time) AS at, max(s.attribution_approval_id) AS approval,
        lower(hex(argMin(s.span_id, s.start_time))) AS span, lower(hex(argMin(s.parent_span_id, s.start_time))) AS parent,
        max(s.attribution_action_id) AS action, max(s.gen_ai_agent_name) AS agent, max(s.attribution_principal_id) AS principal
    FROM {database}.spans AS s
    WHERE tenant_id = {tenant:String} AND gen_ai_operation_name = 'execute_tool'
      AND attribution_tool_definition_hash != '' AND start_time < {until:DateTime64(9,'UTC')}
      AND ({tool:String} = '' OR gen_ai_tool_name = {tool:String})
    GROUP BY s.service_name, s.gen_ai_tool_name, s.attribution_tool_definition_hash, s.trace_id,
        if(s.attribution_action_id != '', s.attribution_action_id, lower(hex(s.span_id)))
), approved AS (
    -- What an approval was about: the definition that it names itself, or else that of the action that names it.
    SELECT service, tool, definition, min(at) AS first_at, argMin(id, at) AS first_id, argMin(approver, at) AS first_approver,
        argMin(span, at) AS first_span, argMin(by_action, at) AS by_action
    FROM (
        SELECT service, toString(tool) AS tool, seen AS definition, at, id, approver, span, false AS by_action
        FROM granted WHERE seen != ''
        UNION ALL
        SELECT r.service, r.tool, r.definition, g.at, g.id, g.approver, g.span, true AS by_action
        FROM runs AS r INNER JOIN granted AS g ON r.approval = g.id
        WHERE g.seen = ''
    )
    GROUP BY service, tool, definition
), changed AS (
    SELECT r.*
    FROM runs AS r
    LEFT JOIN approved AS same ON r.service = same.service AND r.tool = same.tool AND r.definition = same.definition
    WHERE same.definition = '' OR same.first_at > r.at
)
SELECT concat(c.service, ' ', c.tool, ' ', c.definition) AS key, c.service AS service_name, c.tool AS tool, c.definition AS definition,
    toUnixTimestamp64Nano(min(c.at)) AS start_ns, argMin(c.trace, c.at) AS trace, argMin(c.span, c.at) AS span,
    argMin(c.parent, c.at) AS parent, argMin(c.action, c.at) AS attribution_action_id,
    argMin(c.agent, c.at) AS gen_ai_agent_name, argMin(c.principal, c.at) AS attribution_principal_id,
    uniqExact(c.trace, c.action, if(c.action = '', c.span, '')) AS run_count,
    arraySort(groupUniqArrayIf(20)(c.agent, c.agent != '')) AS agents,
    argMax(a.definition, a.first_at) AS approved_definition,
    toUnixTimestamp64Nano(max(a.first_at)) AS approved_ns, argMax(a.first_id, a.first_at) AS approval_id,
    argMax(a.first_approver, a.first_at) AS approver, argMax(a.first_span, a.first_at) AS approval_span,
    argMax(a.by_action, a.first_at) AS by_action
FROM changed AS c
INNER JOIN approved AS a ON c.service = a.service AND c.tool = a.tool
WHERE a.definition != c.definition AND a.first_at <= c.at AND c.at >= {since:DateTime64(9,'UTC')}
GROUP BY c.service, c.tool, c.definition
HAVING (start_ns, trace, key) > ({after_ns:Int64}, {after_trace:String}, {after_key:String})
ORDER BY start_ns, trace, key
LIMIT {limit:UInt32}
