{%- from "parts/look_up.sql" import in_its_times, settings -%}
-- What was reached from one starting point: each node (a kind and an id) and each edge between two, with how many
-- actions ran or were held back. An action is looked at as a whole, so that a server's span, which names no agent,
-- is no action of nobody.
WITH actions AS (
    SELECT trace_id, key,
        countIf(s.ran) > 0 AS did_run,
        countIf(s.attribution_policy_enforcement_action = 'blocked') > 0 AS was_blocked,
        countIf(s.ran AND s.attribution_action_effect NOT IN ('', 'read')) > 0 AS changed,
        min(s.start_time) AS first, max(s.start_time) AS last,
        argMin(s.span_id, (NOT s.ran, s.start_time)) AS span,
        max(s.attribution_principal_id) AS principal, minIf(s.attribution_principal_id, s.attribution_principal_id != '') AS principal_too,
        max(s.gen_ai_agent_name) AS agent, minIf(s.gen_ai_agent_name, s.gen_ai_agent_name != '') AS agent_too,
        argMax(s.attribution_delegation_chain, length(s.attribution_delegation_chain)) AS chain,
        max(s.gen_ai_tool_name) AS tool, max(s.gen_ai_request_model) AS model,
        max(s.attribution_resource_id) AS resource, max(s.attribution_credential_id) AS credential,
        max(if(s.session_id != '', s.session_id, s.gen_ai_conversation_id)) AS session,
        max(s.attribution_task_id) AS task,
        groupUniqArray(20)(s.service_name) AS services
    FROM (
        SELECT trace_id, span_id, start_time, service_name, session_id, gen_ai_conversation_id, gen_ai_agent_name,
            gen_ai_tool_name, gen_ai_request_model, attribution_action_id, attribution_action_effect,
            attribution_policy_enforcement_action, attribution_principal_id, attribution_delegation_chain,
            attribution_resource_id, attribution_credential_id, attribution_task_id,
            if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key,
            gen_ai_operation_name IN ('execute_tool', 'chat') OR mcp_method_name = 'tools/call'
                OR gen_ai_operation_name = '' AND gen_ai_agent_name = '' AND attribution_credential_id != '' AS ran
        FROM {database}.spans
        PREWHERE tenant_id = {tenant:String}
          AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}{{ in_its_times(given) }}
          AND {% include "parts/reached_from.sql" %}
        WHERE (gen_ai_operation_name IN ('execute_tool', 'chat', 'evaluate_policy') OR mcp_method_name = 'tools/call'
            OR gen_ai_operation_name = '' AND gen_ai_agent_name = '' AND attribution_credential_id != '')
    ) AS s
    GROUP BY trace_id, key
)
SELECT * EXCEPT some_spans, arrayMap(id -> lower(hex(id)), some_spans) AS spans,
    count() OVER (PARTITION BY from_kind, to_kind) AS kind_count,
    countIf(action_count > 0) OVER (PARTITION BY from_kind, to_kind) AS reached_count,
    row_number() OVER (PARTITION BY from_kind, to_kind ORDER BY action_count + denied_count DESC) AS nth
FROM (
    SELECT any(part.1) AS from_kind, any(part.2) AS from_id, any(part.3) AS to_kind, any(part.4) AS to_id,
        countIf(did_run) AS action_count, countIf(did_run AND changed) AS changing_count,
        countIf(was_blocked AND NOT did_run) AS denied_count,
        toUnixTimestamp64Nano(min(first)) AS first_ns, toUnixTimestamp64Nano(max(last)) AS last_ns,
        groupArray(5)(span) AS some_spans
    FROM (
        SELECT *, arrayJoin(arrayFilter(
            part -> part.2 != '' AND (part.3 = '' OR part.4 != '') OR part.1 IN ('all', 'agent', 'principal'),
            arrayConcat(
                [('all', '', '', ''),
                 ('principal', principal, '', ''), ('agent', toString(agent), '', ''), ('tool', toString(tool), '', ''),
                 ('model', if(tool = '', toString(model), ''), '', ''), ('resource', resource, '', ''),
                 ('credential', credential, '', ''), ('session', session, '', ''), ('task', task, '', ''),
                 ('contradiction', if(principal != principal_too AND principal_too != ''
                    OR agent != agent_too AND agent_too != '', 'action', ''), '', ''),
                 -- An edge is told apart from a node by having a second kind.
                 ('principal', principal, 'agent', toString(if(length(chain) > 1 AND chain[1] = principal, chain[2], agent))),
                 ('agent', toString(agent), 'tool', toString(tool)),
                 ('agent', toString(agent), 'model', if(tool = '', toString(model), '')),
                 ('agent', toString(agent), 'credential', credential),
                 ('tool', toString(tool), 'resource', resource),
                 ('principal', principal, 'session', session)],
                arrayMap(name -> ('service', toString(name), '', ''), services),
                arrayMap(name -> ('agent', name, '', ''),
                    arrayFilter(name -> name != agent, arrayDistinct(arrayPopFront(chain)))),
                arrayDistinct(arrayMap((above, below) -> ('agent', above, 'agent', below),
                    arraySlice(chain, 2, greatest(length(chain) - 2, 0)), arraySlice(chain, 3)))))) AS part
        FROM actions
        WHERE did_run OR was_blocked
    )
    -- An edge to or from nobody would say less than the node of nobody does.
    WHERE part.3 = '' OR part.2 != '' AND part.4 != ''
    -- By a hash: the parts of a day are hundreds of thousands, and comparing four texts of each takes longer.
    GROUP BY sipHash128(part.1, part.2, part.3, part.4)
)
-- The first of each kind, which has the kind's counts, comes whatever the limit is.
ORDER BY from_kind != 'all', to_kind != '', nth != 1, action_count + denied_count DESC, from_kind, from_id, to_kind, to_id
LIMIT {limit:UInt32} BY to_kind != ''
{{ settings(given) }}
