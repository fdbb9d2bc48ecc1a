{#- What is asked for of decisions, in a period and after where a page begins. -#}
start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
{%- if not given.everywhere %}
  AND toStartOfFiveMinutes(start_time) IN {steps:Array(DateTime('UTC'))}
{%- endif %}
{%- if given.id %}
  AND attribution_policy_decision_id = {id:String}
{%- endif %}
{%- if given.outcome %}
  AND attribution_policy_decision_outcome = {outcome:String}
{%- endif %}
{%- if given.enforcement %}
  AND attribution_policy_enforcement_action = {enforcement:String}
{%- endif %}
{%- if given.policy_id %}
  AND attribution_policy_id = {policy_id:String}
{%- endif %}
{%- if given.rule %}
  AND attribution_policy_rule_id = {rule:String}
{%- endif %}
{%- if given.agent %}
  AND gen_ai_agent_name = {agent:String}
{%- endif %}
{%- if given.tool %}
  AND gen_ai_tool_name = {tool:String}
{%- endif %}
{%- if given.principal %}
  AND attribution_principal_id = {principal:String}
{%- endif %}
  AND (toUnixTimestamp64Nano(start_time), lower(hex(trace_id)), lower(hex(span_id)))
      > ({after_ns:Int64}, {after_trace:String}, {after_span:String})
