{%- from "parts/look_up.sql" import in_its_times, settings -%}
-- The traces with tool calls that were reached: what they gave may have been served again by a cache.
SELECT DISTINCT lower(hex(trace_id)) AS trace
FROM {database}.spans
PREWHERE tenant_id = {tenant:String}
  AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}{{ in_its_times(given) }}
  AND gen_ai_operation_name = 'execute_tool'
  AND {% include "parts/reached_from.sql" %}
LIMIT {limit:UInt32}
{{ settings(given) }}
