-- Which actions there are between two times with what is asked for, newest first. An action is looked at as a whole, from
-- some minutes before and after: what one of its spans lacks, another may say. It is where its execution began, or its
-- decision, where nothing shows that it ran. One of the conditions, `driver`, says in which traces to look.
SELECT lower(hex(s.trace_id)) AS trace, key,
{% include "parts/actions_became.sql" %}
{%- include "parts/actions_found.sql" %}
ORDER BY start_ns DESC, trace DESC, key DESC
LIMIT {limit:UInt32}
