-- The traces of the newest spans of a time, the one with the newest span first. Spans are read backwards in the order
-- that they are stored in, as many as are looked at and no more. Those of nothing but MCP's protocol, as far as looked at,
-- are beside the others and not among them.
SELECT lower(hex(trace_id)) AS trace, max(start_time) AS last, min(of_protocol) AS protocol_only,
       sum(count()) OVER () AS span_count
FROM (
    SELECT trace_id, start_time, mcp_method_name NOT IN ('', 'tools/call') AS of_protocol FROM {database}.spans
    WHERE tenant_id = {tenant:String}
      AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
    ORDER BY toStartOfFiveMinutes(start_time) DESC, start_time DESC
    LIMIT {span_limit:UInt32}
)
GROUP BY trace_id
ORDER BY last DESC, trace
LIMIT {limit:UInt32} BY protocol_only
