-- A credential was used, and no agent of ours says that it was it.
-- columns: tenant LowCardinality(String), credential String, uses UInt64
SELECT tenant_id AS tenant, credential, count() AS uses
FROM {credential_uses}
WHERE NOT enrolled
GROUP BY tenant, credential
