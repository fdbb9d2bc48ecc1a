-- What somebody should look at: actions for which nobody can be named, uses of a credential by no agent of ours,
-- identities that are not the attested ones, and spans that break the conventions.
-- columns: unattributed UInt64, unenrolled_uses UInt64, identity_mismatches UInt64, violations UInt64
SELECT sumIf(n, what = 'unattributed') AS unattributed, sumIf(n, what = 'unenrolled') AS unenrolled_uses,
    sumIf(n, what = 'mismatches') AS identity_mismatches, sumIf(n, what = 'violations') AS violations
FROM (
    SELECT 'unattributed' AS what, count() AS n FROM {unattributed}
    UNION ALL
    SELECT 'unenrolled', count() FROM {credential_uses} WHERE NOT enrolled
    UNION ALL
    SELECT 'mismatches', count() FROM {mismatches}
    UNION ALL
    SELECT 'violations', uniqExact(trace_id, span_id) FROM {database}.findings
    WHERE {tenant} AND $__timeFilter_ms(start_time) AND severity = 'violation'
)
