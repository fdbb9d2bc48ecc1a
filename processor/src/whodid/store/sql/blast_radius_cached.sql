{%- from "parts/look_up.sql" import in_its_times -%}
-- Who was served, from a cache, the results of the actions that were reached.
SELECT attribution_principal_id AS principal, gen_ai_agent_name AS agent, gen_ai_tool_name AS tool,
    uniqExact(trace_id, if(attribution_action_id != '', attribution_action_id, hex(span_id))) AS action_count,
    toUnixTimestamp64Nano(min(start_time)) AS first_ns, toUnixTimestamp64Nano(max(start_time)) AS last_ns,
    groupUniqArray(5)(lower(hex(span_id))) AS spans
FROM {database}.spans
WHERE tenant_id = {tenant:String} AND attribution_result_source = 'cache'
  AND start_time >= {since:DateTime64(9,'UTC')}
{%- if not given.served_everywhere %}
  AND toStartOfFiveMinutes(start_time) IN {served_steps:Array(DateTime('UTC'))}
{%- endif %}
  AND (attribution_result_origin_trace_id, attribution_result_origin_span_id) IN (
      SELECT lower(hex(trace_id)), lower(hex(span_id)) FROM {database}.spans
      WHERE tenant_id = {tenant:String}
        AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}{{ in_its_times(given) }}
        AND gen_ai_operation_name = 'execute_tool'
        AND {% include "parts/reached_from.sql" %})
GROUP BY principal, agent, tool
ORDER BY action_count DESC, principal, agent, tool
LIMIT {limit:UInt32}
