-- Whose spans: the tenants in the store. The empty name is that of a service without a tenant.
-- columns: id LowCardinality(String), label String
SELECT DISTINCT tenant_id AS id, if(id = '', '(none)', id) AS label
FROM {database}.actions_hourly
ORDER BY id
