-- Actions of which no span says which agent acted, for whom, who started it or for which task: what the question
-- `unattributed` lists. Of a span that was sent twice the one that says less counts.
SELECT tenant_id, trace_id, key, minIf(start_time, acts) AS at,
    argMin(service_name, (NOT acts, start_time)) AS service,
    argMin(gen_ai_tool_name, (NOT acts, start_time)) AS tool,
    max(attribution_credential_id) AS credential,
    max(gen_ai_agent_name) AS agent, max(attribution_principal_id) AS principal,
    max(attribution_initiator_id) AS initiator, max(attribution_task_id) AS task
FROM (
    SELECT tenant_id, trace_id, start_time, service_name, gen_ai_agent_name, gen_ai_tool_name,
        attribution_principal_id, attribution_initiator_id, attribution_task_id, attribution_credential_id,
        if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key,
        gen_ai_operation_name IN ({operations}) OR mcp_method_name IN ({operations}) AS acts
    FROM {database}.spans
    WHERE {tenant} AND $__timeFilter_ms(start_time)
      AND (attribution_action_id = '' AND acts
            AND (gen_ai_agent_name = '' OR attribution_principal_id = '' OR attribution_initiator_id = ''
                OR attribution_task_id = '')
        OR attribution_action_id != '' AND (tenant_id, trace_id, attribution_action_id) IN (
            SELECT tenant_id, trace_id, attribution_action_id FROM {database}.spans
            WHERE {tenant} AND $__timeFilter_ms(start_time) AND attribution_action_id != ''
              AND (gen_ai_operation_name IN ({operations}) OR mcp_method_name IN ({operations}))
              AND (gen_ai_agent_name = '' OR attribution_principal_id = '' OR attribution_initiator_id = ''
                OR attribution_task_id = '')))
    ORDER BY (gen_ai_agent_name != '') + (attribution_principal_id != '') + (attribution_initiator_id != '')
        + (attribution_task_id != '')
    LIMIT 1 BY tenant_id, trace_id, span_id
)
GROUP BY tenant_id, trace_id, key
HAVING agent = '' OR principal = '' OR initiator = '' OR task = ''
