{%- macro differing(kind, column) -%}
{{ column }} IN (
          SELECT {{ column }} FROM {database}.spans
          WHERE has({kinds:Array(String)}, '{{ kind }}') AND tenant_id = {tenant:String}
            AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
            AND {{ column }} != ''
          GROUP BY {{ column }}
          HAVING {{ caller() }})
{%- endmacro -%}
-- Where what is said of an agent's identity contradicts itself or what was attested. One branch a kind of conflict;
-- a branch that is not asked for reads nothing. Whose spans differ is found first, in little memory: what they say was kept
-- for every action of the period, which was too much for a day of a million.
SELECT *, concat(subject, ' ', arrayStringConcat(attested, ' ')) AS key FROM (
    -- The validator compares each span with its resource when it comes: its findings lead to the spans.
    SELECT 'attested' AS kind, toString(attribution_agent_identity_id) AS subject,
        [toString(attribution_agent_identity_id)] AS claimed,
        [JSONExtractString(resource, 'attribution.agent.attested.id')] AS attested,
        arraySort(groupUniqArrayIf(20)(toString(gen_ai_agent_name), gen_ai_agent_name != '')) AS agents,
        arraySort(groupUniqArrayIf(20)(attribution_agent_instance_id, attribution_agent_instance_id != '')) AS instances,
        arraySort(groupUniqArray(20)(toString(service_name))) AS services,
        toUnixTimestamp64Nano(min(start_time)) AS first_ns, toUnixTimestamp64Nano(max(start_time)) AS last_ns,
        uniqExact(trace_id, span_id) AS span_count, groupUniqArray(20)(lower(hex(span_id))) AS spans,
        groupUniqArray(20)(lower(hex(trace_id))) AS traces
    FROM {database}.spans
    WHERE has({kinds:Array(String)}, 'attested') AND tenant_id = {tenant:String}
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
      AND ({agent:String} = '' OR gen_ai_agent_name = {agent:String})
      AND (trace_id, span_id) IN (
          SELECT trace_id, span_id FROM {database}.findings
          WHERE tenant_id = {tenant:String} AND rule = 'identity_mismatch'
            AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')})
      AND JSONExtractString(resource, 'attribution.agent.attested.id') != attribution_agent_identity_id
    GROUP BY attribution_agent_identity_id, JSONExtractString(resource, 'attribution.agent.attested.id')

    UNION ALL
    -- One running copy has one name and one identity.
    SELECT 'instance', attribution_agent_instance_id,
        arraySort(groupUniqArrayIf(20)(toString(attribution_agent_identity_id), attribution_agent_identity_id != '')), [],
        arraySort(groupUniqArrayIf(20)(toString(gen_ai_agent_name), gen_ai_agent_name != '')),
        [attribution_agent_instance_id], arraySort(groupUniqArray(20)(toString(service_name))),
        toUnixTimestamp64Nano(min(start_time)), toUnixTimestamp64Nano(max(start_time)),
        uniqExact(trace_id, span_id), groupUniqArray(20)(lower(hex(span_id))),
        groupUniqArray(20)(lower(hex(trace_id)))
    FROM {database}.spans
    WHERE has({kinds:Array(String)}, 'instance') AND tenant_id = {tenant:String}
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
      AND {% call differing("instance", "attribution_agent_instance_id") -%}
          uniqUpToIf(1)(attribution_agent_identity_id, attribution_agent_identity_id != '') > 1
          OR uniqUpToIf(1)(gen_ai_agent_name, gen_ai_agent_name != '') > 1
      {%- endcall %}
    GROUP BY attribution_agent_instance_id
    HAVING ({agent:String} = '' OR countIf(gen_ai_agent_name = {agent:String}) > 0)

    UNION ALL
    -- One identity has one issuer; a SPIFFE ID's is its trust domain.
    SELECT 'issuer', toString(attribution_agent_identity_id),
        arraySort(groupUniqArrayIf(20)(toString(attribution_agent_identity_issuer), attribution_agent_identity_issuer != '')),
        [], arraySort(groupUniqArrayIf(20)(toString(gen_ai_agent_name), gen_ai_agent_name != '')),
        arraySort(groupUniqArrayIf(20)(attribution_agent_instance_id, attribution_agent_instance_id != '')),
        arraySort(groupUniqArray(20)(toString(service_name))),
        toUnixTimestamp64Nano(min(start_time)), toUnixTimestamp64Nano(max(start_time)),
        uniqExact(trace_id, span_id), groupUniqArray(20)(lower(hex(span_id))),
        groupUniqArray(20)(lower(hex(trace_id)))
    FROM {database}.spans
    WHERE has({kinds:Array(String)}, 'issuer') AND tenant_id = {tenant:String}
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
      AND {% call differing("issuer", "attribution_agent_identity_id") -%}
          uniqUpToIf(1)(attribution_agent_identity_issuer, attribution_agent_identity_issuer != '') > 1
          OR countIf(startsWith(attribution_agent_identity_id, 'spiffe://')
              AND startsWith(attribution_agent_identity_issuer, 'spiffe://')
              AND NOT startsWith(attribution_agent_identity_id, concat(attribution_agent_identity_issuer, '/'))) > 0
      {%- endcall %}
    GROUP BY attribution_agent_identity_id
    HAVING ({agent:String} = '' OR countIf(gen_ai_agent_name = {agent:String}) > 0)

    UNION ALL
    -- One action is one agent's, in whichever service its spans are made.
    SELECT 'action', attribution_action_id,
        arraySort(groupUniqArrayIf(20)(toString(attribution_agent_identity_id), attribution_agent_identity_id != '')), [],
        arraySort(groupUniqArrayIf(20)(toString(gen_ai_agent_name), gen_ai_agent_name != '')),
        arraySort(groupUniqArrayIf(20)(attribution_agent_instance_id, attribution_agent_instance_id != '')),
        arraySort(groupUniqArray(20)(toString(service_name))),
        toUnixTimestamp64Nano(min(start_time)), toUnixTimestamp64Nano(max(start_time)),
        uniqExact(trace_id, span_id), groupUniqArray(20)(lower(hex(span_id))),
        groupUniqArray(20)(lower(hex(trace_id)))
    FROM {database}.spans
    WHERE has({kinds:Array(String)}, 'action') AND tenant_id = {tenant:String}
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
      AND {% call differing("action", "attribution_action_id") -%}
          uniqUpToIf(1)(attribution_agent_identity_id, attribution_agent_identity_id != '') > 1
          OR uniqUpToIf(1)(gen_ai_agent_name, gen_ai_agent_name != '') > 1
          OR uniqUpToIf(1)(attribution_agent_instance_id, attribution_agent_instance_id != '') > 1
      {%- endcall %}
    GROUP BY attribution_action_id
    HAVING ({agent:String} = '' OR countIf(gen_ai_agent_name = {agent:String}) > 0)

    UNION ALL
    -- The user whom an application knows, and the human principal who is claimed.
    SELECT 'user', attribution_principal_id, [attribution_principal_id], [user_id],
        arraySort(groupUniqArrayIf(20)(toString(gen_ai_agent_name), gen_ai_agent_name != '')),
        arraySort(groupUniqArrayIf(20)(attribution_agent_instance_id, attribution_agent_instance_id != '')),
        arraySort(groupUniqArray(20)(toString(service_name))),
        toUnixTimestamp64Nano(min(start_time)), toUnixTimestamp64Nano(max(start_time)),
        uniqExact(trace_id, span_id), groupUniqArray(20)(lower(hex(span_id))),
        groupUniqArray(20)(lower(hex(trace_id)))
    FROM {database}.spans
    WHERE has({kinds:Array(String)}, 'user') AND tenant_id = {tenant:String}
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
      AND user_id != '' AND attribution_principal_type = 'human' AND attribution_principal_id NOT IN ('', user_id)
      AND ({agent:String} = '' OR gen_ai_agent_name = {agent:String})
    GROUP BY attribution_principal_id, user_id
)
WHERE (first_ns, kind, key) > ({after_ns:Int64}, {after_kind:String}, {after_key:String})
ORDER BY first_ns, kind, key
LIMIT {limit:UInt32}
