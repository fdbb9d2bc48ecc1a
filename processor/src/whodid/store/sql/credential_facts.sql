{%- from "parts/look_up.sql" import in_its_times, settings -%}
-- What all spans with one credential say about it, whether they use it or only carry it.
SELECT count() AS span_count,
    countIf(gen_ai_operation_name = '' AND mcp_method_name = ''
            AND (attribution_agent_instance_id != '' OR attribution_agent_identity_id != '')) AS carried_count,
    groupUniqArrayIf(50)(attribution_credential_type, attribution_credential_type != '') AS types,
    groupUniqArrayIf(50)(attribution_credential_issuer, attribution_credential_issuer != '') AS issuers,
    groupUniqArrayIf(50)(attribution_credential_not_before, attribution_credential_not_before != '') AS not_before,
    groupUniqArrayIf(50)(attribution_credential_not_after, attribution_credential_not_after != '') AS not_after,
    groupUniqArrayIf(50)(attribution_credential_task_id, attribution_credential_task_id != '') AS tasks,
    groupUniqArrayIf(50)(attribution_credential_replaces_id, attribution_credential_replaces_id != '') AS replaces,
    lower(hex(anyIf(span_id, attribution_credential_type != ''))) AS type_span,
    lower(hex(anyIf(span_id, attribution_credential_issuer != ''))) AS issuer_span,
    lower(hex(anyIf(span_id, attribution_credential_not_before != ''))) AS not_before_span,
    lower(hex(anyIf(span_id, attribution_credential_not_after != ''))) AS not_after_span,
    lower(hex(anyIf(span_id, attribution_credential_task_id != ''))) AS task_span,
    lower(hex(anyIf(span_id, attribution_credential_replaces_id != ''))) AS replaces_span,
    arraySort(groupUniqArrayIf(50)(gen_ai_agent_name, gen_ai_agent_name != '')) AS agents,
    arraySort(groupUniqArrayIf(50)(attribution_principal_id, attribution_principal_id != '')) AS principals,
    arraySort(groupUniqArray(50)(service_name)) AS services,
    toUnixTimestamp64Nano(min(start_time)) AS first_ns, toUnixTimestamp64Nano(max(start_time)) AS last_ns,
    -- Whose parents are looked up; one more than at once tells that they are too many.
    arrayMap(id -> lower(hex(id)), groupUniqArrayIf(301)(trace_id, parent_span_id != toFixedString('', 8))) AS traces,
    arrayMap(id -> lower(hex(id)), groupUniqArrayIf(301)(parent_span_id, parent_span_id != toFixedString('', 8))) AS parents
FROM {database}.spans
PREWHERE tenant_id = {tenant:String} AND attribution_credential_id = {credential:String}{{ in_its_times(given) }}
  AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
{{ settings(given) }}
