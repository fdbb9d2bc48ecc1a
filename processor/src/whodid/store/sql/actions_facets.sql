-- How many of the actions that `actions_keys` would list say what; an action whose spans disagree counts once, for one of
-- them.
SELECT part.1 AS dimension, arrayJoin(part.2) AS value, count() AS action_count
FROM (
SELECT arrayJoin(said) AS part
FROM (
SELECT lower(hex(s.trace_id)) AS trace, key,
{% include "parts/actions_became.sql" -%},
    [('status', [became]), ('service', groupUniqArray(5)(toString(s.service_name))),
         ('agent', [toString(max(s.gen_ai_agent_name))]),
         ('principal', [toString(max(s.attribution_principal_id))]),
         ('tool', [toString(max(s.gen_ai_tool_name))]),
         ('resource_type', [toString(max(s.attribution_resource_type))]),
         ('credential', [toString(max(s.attribution_credential_id))]),
         ('mode', [toString(max(s.attribution_action_mode))]),
         ('decision', [toString(max(s.attribution_policy_decision_outcome))]),
         ('enforcement', [toString(max(s.attribution_policy_enforcement_action))]),
         ('effect', [toString(max(s.attribution_action_effect))]),
         ('error', [toString(max(s.error_type))])] AS said
{%- include "parts/actions_found.sql" %}
)
)
GROUP BY dimension, value
ORDER BY dimension, action_count DESC, value
LIMIT {facet_values:UInt32} BY dimension
