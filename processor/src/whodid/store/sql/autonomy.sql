{%- from "parts/look_up.sql" import in_its_times, settings -%}
-- What ran, with the approval that it names and the first that was granted before it in its task. Each action once.
-- What is counted (OVER ()) is over all pages; the first of all comes with every page for its counts.
WITH ran AS (
    SELECT trace_id, span_id, parent_span_id, start_time, status_code, error_type, gen_ai_agent_name,
        gen_ai_tool_name, attribution_principal_id, attribution_task_id, attribution_action_id,
        attribution_action_mode, attribution_resource_id, attribution_action_effect,
        attribution_action_arguments_hash, attribution_approval_id,
        (gen_ai_operation_name != 'execute_tool', start_time) AS rank,
        if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key
    FROM {database}.spans
    {% if given.everywhere %}WHERE{% else %}PREWHERE{% endif %} tenant_id = {tenant:String}
      AND ({task:String} = '' OR attribution_task_id = {task:String}){{ in_its_times(given) }}
{%- if not given.principal_everywhere %}
      -- What names no principal of an action may be a little before or after what does.
      AND toStartOfFiveMinutes(start_time) IN (
          SELECT arrayJoin(arrayFlatten(arrayMap(step -> [step - 600, step - 300, step, step + 300, step + 600],
              {principal_steps:Array(DateTime('UTC'))}))))
{%- endif %}
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
      AND (gen_ai_operation_name = 'execute_tool' OR mcp_method_name = 'tools/call')
{%- for name, column in (("agent", "gen_ai_agent_name"), ("principal", "attribution_principal_id"))
        if given[name] and (name == "agent" or given.principal_everywhere) %}
      -- Not every span of an action names them; some span of its trace does.
      AND trace_id IN (
          SELECT trace_id FROM {database}.spans
          WHERE tenant_id = {tenant:String} AND {{ column }} = {{ "{" }}{{ name }}:String}
            AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
            AND (gen_ai_operation_name = 'execute_tool' OR mcp_method_name = 'tools/call'))
{%- endfor %}
),
actions AS (
    SELECT lower(hex(s.trace_id)) AS trace, key,
        lower(hex(argMin(s.span_id, s.rank))) AS span, lower(hex(argMin(s.parent_span_id, s.rank))) AS parent,
        toUnixTimestamp64Nano(min(s.start_time)) AS start_ns, groupUniqArray(20)(lower(hex(s.span_id))) AS spans,
        max(s.gen_ai_agent_name) AS gen_ai_agent_name, max(s.attribution_principal_id) AS attribution_principal_id,
        max(s.attribution_task_id) AS attribution_task_id, max(s.attribution_action_id) AS attribution_action_id,
        argMin(s.attribution_action_mode, s.attribution_action_mode = '') AS attribution_action_mode,
        groupUniqArrayIf(5)(toString(s.attribution_action_mode), s.attribution_action_mode != '') AS modes,
        max(s.gen_ai_tool_name) AS tool, max(s.attribution_resource_id) AS resource,
        max(s.attribution_action_effect) AS effect, max(s.attribution_action_arguments_hash) AS arguments,
        max(s.attribution_approval_id) AS approval,
        countIf(s.status_code = 'ERROR' OR s.error_type != '') > 0 AS failed
    FROM ran AS s
    GROUP BY s.trace_id, key
    HAVING ({agent:String} = '' OR gen_ai_agent_name = {agent:String})
       AND ({principal:String} = '' OR attribution_principal_id = {principal:String})
)
SELECT *, has({basis:Array(String)}, basis) AND (start_ns, trace, key) > ({after_ns:Int64}, {after_trace:String}, {after_key:String})
    AS listed
FROM (
    SELECT *, row_number() OVER (ORDER BY start_ns, trace, key) AS nth, count() OVER () AS action_count,
        countIf(basis = 'approved') OVER () AS approved_count, countIf(basis = 'claimed') OVER () AS claimed_count,
        countIf(basis = 'after_approval') OVER () AS after_approval_count,
        countIf(basis = 'alone') OVER () AS alone_count,
        countIf(basis = 'human_initiated') OVER () AS human_initiated_count,
        if(approval = '', 0, count() OVER (PARTITION BY approval)) AS uses
    FROM (
        SELECT a.*, p.* EXCEPT (approval_id), g.* EXCEPT (first_task),
            toUnixTimestamp64Nano(parseDateTime64BestEffortOrNull(not_after, 9, 'UTC')) AS not_after_ns,
            decided_ns > start_ns + {skew_ns:Int64} AS late,
            ifNull(start_ns > not_after_ns + {skew_ns:Int64}, not_after != '') AS expired,
            multiIf(
                approval != '' AND status = 'granted' AND approved_hash != '' AND approved_hash = arguments
                    AND NOT late AND NOT expired, 'approved',
                approval != '' OR attribution_action_mode = 'human_approved', 'claimed',
                attribution_action_mode = 'human_initiated', 'human_initiated',
                first_ns != 0 AND first_ns <= start_ns, 'after_approval',
                'alone') AS basis
        FROM actions AS a
        LEFT JOIN (
            SELECT attribution_approval_id AS approval_id, argMin(attribution_approval_status, found) AS status,
                argMin(attribution_approval_approver_id, found) AS approver,
                toUnixTimestamp64Nano(argMin(end_time, found)) AS decided_ns,
                argMin(attribution_approval_context_hash, found) AS approved_hash,
                argMin(gen_ai_tool_name, found) AS approved_tool,
                argMin(attribution_approval_not_after, found) AS not_after, lower(hex(argMin(span_id, found))) AS approval_span,
                groupUniqArray(5)(toString(attribution_approval_status)) AS answers
            FROM (
                -- Asked for and answered may be two spans: the answer counts.
                SELECT span_id, end_time, gen_ai_tool_name, attribution_approval_id, attribution_approval_status,
                    attribution_approval_approver_id, attribution_approval_context_hash, attribution_approval_not_after,
                    (attribution_approval_status = 'requested', start_time) AS found
                FROM {database}.spans
                WHERE tenant_id = {tenant:String} AND gen_ai_operation_name = 'resolve_approval'
                  AND attribution_approval_id IN (SELECT attribution_approval_id FROM ran WHERE attribution_approval_id != '')
                  AND start_time >= {earliest:DateTime64(9,'UTC')}
            )
            GROUP BY approval_id
        ) AS p ON a.approval = p.approval_id
        LEFT JOIN (
            SELECT attribution_task_id AS first_task, toUnixTimestamp64Nano(min(end_time)) AS first_ns,
                argMin(attribution_approval_id, end_time) AS first_id, argMin(gen_ai_tool_name, end_time) AS first_tool,
                argMin(attribution_approval_approver_id, end_time) AS first_approver,
                lower(hex(argMin(span_id, end_time))) AS first_span
            FROM {database}.spans
            WHERE tenant_id = {tenant:String} AND gen_ai_operation_name = 'resolve_approval'
              AND attribution_approval_status = 'granted' AND attribution_task_id != ''
              -- The times of the task that is asked about, which is then the only one.{{ in_its_times(given) }}
              AND attribution_task_id IN (SELECT attribution_task_id FROM ran)
              AND start_time >= {earliest:DateTime64(9,'UTC')}
            GROUP BY first_task
        ) AS g ON a.attribution_task_id = g.first_task
    )
)
WHERE listed OR nth = 1
ORDER BY start_ns, trace, key
LIMIT {limit:UInt32}
{% if not given.everywhere %}{{ settings(given) }}{% endif %}
