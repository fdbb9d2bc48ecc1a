-- Approvals that were asked for or answered in a time, newest first, with all that their spans say, whenever that was. What
-- is counted (OVER ()) is over all pages; the first of all comes with every page for its counts.
WITH named AS (
    SELECT attribution_approval_id FROM {database}.spans
    WHERE tenant_id = {tenant:String} AND attribution_approval_id != ''
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
      AND ({everywhere:Bool} OR toStartOfFiveMinutes(start_time) IN {steps:Array(DateTime('UTC'))})
      AND (empty({id:Array(String)}) OR attribution_approval_id IN {id:Array(String)})
      AND (gen_ai_operation_name = 'resolve_approval' OR attribution_approval_status = 'requested')
)
SELECT *, (empty({status:Array(String)}) OR has({status:Array(String)}, status))
    AND ({after_ns:Int64} < -9000000000000000000 OR (start_ns, trace, key) < ({after_ns:Int64}, {after_trace:String}, {after_key:String}))
    AS listed
FROM (
    SELECT *, row_number() OVER (ORDER BY start_ns DESC, trace DESC, key DESC) AS nth,
        countIf(status = 'granted') OVER () AS granted_count, countIf(status = 'refused') OVER () AS refused_count,
        countIf(status = 'expired') OVER () AS expired_count, countIf(status = 'pending') OVER () AS pending_count,
        countIf(status NOT IN ('granted', 'refused', 'expired', 'pending')) OVER () AS other_count
    FROM (
        SELECT key, toUnixTimestamp64Nano(min(s.start_time)) AS start_ns, max(s.attribution_approval_id) AS id,
            lower(hex(argMin(s.trace_id, s.rank))) AS trace, lower(hex(argMin(s.span_id, s.rank))) AS span,
            lower(hex(argMin(s.parent_span_id, s.rank))) AS parent,
            countIf(s.answers) > 0 AS answered,
            if(answered, argMinIf(toString(s.attribution_approval_status), s.start_time, s.answers), 'pending') AS status,
            -- An event tells a time better than its span.
            toUnixTimestamp64Nano(if(countIf(s.requested != 0) > 0, minIf(s.requested, s.requested != 0),
                minIf(s.start_time, NOT s.answers))) AS requested_ns,
            toUnixTimestamp64Nano(argMinIf(if(s.resolved != 0, s.resolved, s.end_time), s.start_time, s.answers)) AS resolved_ns,
            argMinIf(s.attribution_approval_approver_id, s.start_time, s.answers) AS approver,
            argMinIf(s.attribution_approval_not_after, s.start_time, s.answers) AS not_after,
            argMin(s.digest, (s.digest = '', s.rank)) AS approved_hash,
            argMin(s.gen_ai_tool_name, (s.gen_ai_tool_name = '', s.rank)) AS tool,
            argMin(s.gen_ai_tool_call_id, (s.gen_ai_tool_call_id = '', s.rank)) AS call_id,
            argMin(s.attribution_resource_id, (s.attribution_resource_id = '', s.rank)) AS resource,
            argMin(s.service_name, s.rank) AS service_name,
            argMin(s.gen_ai_agent_name, s.rank) AS gen_ai_agent_name,
            argMin(s.attribution_principal_id, s.rank) AS attribution_principal_id,
            argMin(s.attribution_task_id, s.rank) AS attribution_task_id,
            groupUniqArrayIf(5)(toString(s.attribution_approval_status), s.answers) AS statuses,
            groupUniqArrayIf(5)(s.attribution_approval_approver_id, s.answers AND s.attribution_approval_approver_id != '')
                AS approvers,
            groupUniqArray(20)(lower(hex(s.span_id))) AS spans
        FROM (
            SELECT trace_id, span_id, parent_span_id, start_time, end_time, service_name, gen_ai_agent_name, gen_ai_tool_name,
                gen_ai_tool_call_id, attribution_principal_id, attribution_task_id, attribution_approval_id,
                attribution_approval_status, attribution_approval_approver_id, attribution_approval_not_after,
                attribution_resource_id,
                if(attribution_approval_context_hash != '', attribution_approval_context_hash,
                    attribution_action_arguments_hash) AS digest,
                if(attribution_approval_id != '', attribution_approval_id, lower(hex(span_id))) AS key,
                gen_ai_operation_name = 'resolve_approval' AND attribution_approval_status != 'requested' AS answers,
                `events.time`[indexOf(`events.name`, 'attribution.approval.requested')] AS requested,
                `events.time`[indexOf(`events.name`, 'attribution.approval.resolved')] AS resolved,
                (NOT answers, start_time, span_id) AS rank
            FROM {database}.spans
            WHERE tenant_id = {tenant:String}
              AND start_time >= {earliest:DateTime64(9,'UTC')}
{%- if not given.everywhere %}
              AND toStartOfFiveMinutes(start_time) IN {steps:Array(DateTime('UTC'))}
{%- elif given.earliest < given.since %}
              -- What was said before the period is looked for where its ids occur.
              AND (start_time >= {since:DateTime64(9,'UTC')} OR toStartOfFiveMinutes(start_time) IN (
                  SELECT step FROM {database}.id_times
                  WHERE tenant_id = {tenant:String} AND id_hash IN (
                      SELECT toUInt32(cityHash64('attribution_approval_id', attribution_approval_id)) FROM named)))
{%- endif %}
              AND (gen_ai_operation_name = 'resolve_approval' OR attribution_approval_status = 'requested')
              AND (attribution_approval_id = '' AND start_time >= {since:DateTime64(9,'UTC')}
                        AND start_time < {until:DateTime64(9,'UTC')} AND empty({id:Array(String)})
                OR attribution_approval_id != '' AND attribution_approval_id IN (SELECT * FROM named))
        ) AS s
        GROUP BY key
        HAVING (empty({approver:Array(String)}) OR approver IN {approver:Array(String)})
           AND (empty({agent:Array(String)}) OR gen_ai_agent_name IN {agent:Array(String)})
    )
)
WHERE listed OR nth = 1
ORDER BY start_ns DESC, trace DESC, key DESC
LIMIT {limit:UInt32}
