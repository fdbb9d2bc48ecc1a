{%- from "parts/decided.sql" import asked -%}
{%- from "parts/look_up.sql" import settings -%}
{%- set of_page -%}
{{ asked(given) }}
  AND (toUnixTimestamp64Nano(start_time), lower(hex(trace_id)), lower(hex(span_id)))
      > ({after_ns:Int64}, {after_trace:String}, {after_span:String})
{%- endset -%}
{%- set decides -%}
(gen_ai_operation_name = 'evaluate_policy' OR attribution_policy_decision_outcome != ''
       AND (trace_id, attribution_policy_decision_id) NOT IN (SELECT * FROM told))
{%- endset -%}
-- Decisions about actions, oldest first. A decision that no span of its own records is told from the action that
-- names its outcome.
WITH told AS (
    SELECT trace_id, attribution_policy_decision_id FROM {database}.spans
    {% if given.id %}PREWHERE{% else %}WHERE{% endif %} tenant_id = {tenant:String} AND gen_ai_operation_name = 'evaluate_policy'
      AND {{ asked(given, ["id", "outcome"]) }}
)
SELECT lower(hex(trace_id)) AS trace, lower(hex(span_id)) AS span, lower(hex(parent_span_id)) AS parent,
    toUnixTimestamp64Nano(start_time) AS start_ns, service_name, gen_ai_operation_name, gen_ai_agent_name,
    gen_ai_tool_name, attribution_principal_id, attribution_task_id, attribution_action_id, attribution_action_mode,
    attribution_action_effect, attribution_resource_id, attribution_approval_id, attribution_policy_decision_id,
    attribution_policy_decision_outcome, attribution_policy_decision_reason, attribution_policy_enforcement_action,
    attribution_policy_id, attribution_policy_version, attribution_policy_rule_id, attribution_policy_engine_name,
    attribution_policy_context_value, attribution_policy_context_hash,
    cityHash64(start_time, attribution_policy_decision_outcome, attribution_policy_enforcement_action,
        attribution_policy_context_hash, attribution_policy_context_value, attribution_action_id) AS content,
    min(content) OVER same != max(content) OVER same AS differs
FROM {database}.spans
{% if given.id %}PREWHERE{% else %}WHERE{% endif %} tenant_id = {tenant:String}
  AND {{ of_page }}
{%- if given.id %}
WHERE {{ decides }}
{%- else %}
  -- Which spans a page has, is found by a few columns: with all of them the sorting alone took ten seconds for a day of half
  -- a million decisions.
  AND (trace_id, span_id) IN (
      SELECT trace_id, span_id FROM {database}.spans
      WHERE tenant_id = {tenant:String} AND {{ of_page }}
        AND {{ decides }}
      ORDER BY start_time, lower(hex(trace_id)), lower(hex(span_id))
      LIMIT 1 BY trace_id, span_id
      LIMIT {limit:UInt32})
{%- endif %}
WINDOW same AS (PARTITION BY trace_id, span_id)
ORDER BY start_ns, trace, span, content
LIMIT 1 BY trace, span
LIMIT {limit:UInt32}
{% if given.id %}{{ settings(given) }}{% endif %}
