-- An action ran, and no span says which agent acted, for whom, who started it, or for which task.
-- columns: tenant LowCardinality(String), service String, actions UInt64
SELECT tenant_id AS tenant, service, count() AS actions
FROM {unattributed}
GROUP BY tenant, service
