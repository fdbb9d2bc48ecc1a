-- Credentials, principals or agents' identities that are named in a time and by no span before it, the latest first. Of an
-- id that is known at no earlier time nothing else has to be read; the others are looked for in the spans before.
WITH named AS (
    SELECT if({kind:String} = 'credential', s.attribution_credential_id,
            if({kind:String} = 'principal', s.attribution_principal_id, toString(s.attribution_agent_identity_id))) AS value,
        toUInt32(cityHash64(if({kind:String} = 'credential', 'attribution_credential_id', 'attribution_principal_id'), value))
            AS id_hash,
        toUnixTimestamp64Nano(min(s.start_time)) AS start_ns, count() AS span_count,
        lower(hex(argMin(s.trace_id, (s.start_time, s.span_id)))) AS trace,
        lower(hex(argMin(s.span_id, (s.start_time, s.span_id)))) AS span,
        lower(hex(argMin(s.parent_span_id, (s.start_time, s.span_id)))) AS parent,
        argMin(s.service_name, (s.start_time, s.span_id)) AS service_name,
        argMin(toString(s.gen_ai_agent_name), (s.start_time, s.span_id)) AS gen_ai_agent_name,
        argMin(s.attribution_principal_id, (s.start_time, s.span_id)) AS attribution_principal_id,
        argMin(s.attribution_credential_id, (s.start_time, s.span_id)) AS attribution_credential_id,
        argMin(toString(s.attribution_agent_identity_id), (s.start_time, s.span_id)) AS attribution_agent_identity_id
    FROM {database}.spans AS s
    WHERE tenant_id = {tenant:String} AND value != ''
      AND s.start_time >= {since:DateTime64(9,'UTC')} AND s.start_time < {until:DateTime64(9,'UTC')}
    GROUP BY value
), known AS (
    SELECT id_hash FROM {database}.id_times
    WHERE tenant_id = {tenant:String} AND {kind:String} != 'identity' AND step < {since:DateTime64(9,'UTC')}
      AND id_hash IN (SELECT id_hash FROM named)
)
SELECT *
FROM named
WHERE (start_ns, value) < ({before_ns:Int64}, {before_value:String})
  AND ({kind:String} != 'identity' AND id_hash NOT IN (SELECT id_hash FROM known)
    OR value NOT IN (
        SELECT if({kind:String} = 'credential', s.attribution_credential_id,
            if({kind:String} = 'principal', s.attribution_principal_id, toString(s.attribution_agent_identity_id))) AS earlier
        FROM {database}.spans AS s
        WHERE tenant_id = {tenant:String} AND s.start_time < {since:DateTime64(9,'UTC')}
          AND earlier IN (SELECT value FROM named WHERE {kind:String} = 'identity' OR id_hash IN (SELECT id_hash FROM known))))
ORDER BY start_ns DESC, value DESC
LIMIT {limit:UInt32}
