-- Spans whose claimed identity is not the one that was attested for their process: the validator's finding.
SELECT tenant_id, trace_id, span_id, start_time AS at, attribution_agent_identity_id AS claimed,
    JSONExtractString(resource, 'attribution.agent.attested.id') AS attested, gen_ai_agent_name AS agent,
    attribution_agent_instance_id AS instance, service_name AS service
FROM {database}.spans
WHERE {tenant} AND $__timeFilter_ms(start_time)
  AND (tenant_id, trace_id, span_id) IN (
    SELECT tenant_id, trace_id, span_id FROM {database}.findings
    WHERE {tenant} AND $__timeFilter_ms(start_time) AND rule = 'identity_mismatch')
LIMIT 1 BY tenant_id, trace_id, span_id
