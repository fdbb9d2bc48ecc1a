-- Uses of credentials, one row an action, or a span where it belongs to none: what the question `credential` lists.
-- Enrolled is a use of which an agent of ours says that it was it. A server of the call names no agent of its own.
SELECT tenant_id, credential, trace_id, key, minIf(start_time, is_use) AS at,
    countIf(named) > 0 AND countIf(is_use AND NOT named AND NOT hop) = 0 AS enrolled,
    argMin(service_name, rank) AS service, argMin(gen_ai_tool_name, rank) AS tool,
    argMin(attribution_resource_id, rank) AS resource, argMin(gen_ai_agent_name, rank) AS agent,
    argMin(attribution_agent_instance_id, rank) AS instance,
    argMin(attribution_agent_identity_id, rank) AS identity,
    argMin(attribution_principal_id, rank) AS principal
FROM (
    SELECT tenant_id, trace_id, span_id, start_time, service_name, gen_ai_agent_name, gen_ai_tool_name,
        attribution_resource_id, attribution_agent_instance_id, attribution_agent_identity_id,
        attribution_principal_id, attribution_credential_id AS credential,
        if(attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key,
        gen_ai_agent_name != '' AND (attribution_agent_instance_id != '' OR attribution_agent_identity_id != '')
            AS named,
        kind = 'SERVER' OR mcp_method_name != '' AS hop,
        gen_ai_operation_name NOT IN ({holding})
            AND (gen_ai_operation_name != '' OR mcp_method_name != '' OR NOT named) AS is_use,
        (NOT is_use, NOT named, start_time, span_id) AS rank
    FROM {database}.spans
    WHERE {tenant} AND $__timeFilter_ms(start_time) AND attribution_credential_id != ''
)
GROUP BY tenant_id, credential, trace_id, key
HAVING countIf(is_use) > 0
