{%- from "parts/look_up.sql" import in_its_times, settings -%}
-- The traces of a session, by session.id or gen_ai.conversation.id, and between which times their spans are.
SELECT lower(hex(trace_id)) AS trace, toUnixTimestamp64Nano(min(first_time)) AS first_ns,
    toUnixTimestamp64Nano(max(last_time)) AS last_ns
FROM {database}.trace_index
WHERE tenant_id = {tenant:String}
  AND trace_id IN (
      SELECT trace_id FROM {database}.spans
      PREWHERE tenant_id = {tenant:String}{{ in_its_times(given) }}
        AND (session_id = {session:String} OR gen_ai_conversation_id = {session:String})
        AND start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
  )
GROUP BY trace_id
ORDER BY first_ns, trace
LIMIT {limit:UInt32}
{{ settings(given) }}
