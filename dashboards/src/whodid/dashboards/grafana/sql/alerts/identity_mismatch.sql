-- A process claims an identity that is not the one which was attested for it.
-- columns: tenant LowCardinality(String), claimed LowCardinality(String), spans UInt64
SELECT tenant_id AS tenant, claimed, count() AS spans
FROM {mismatches}
GROUP BY tenant, claimed
