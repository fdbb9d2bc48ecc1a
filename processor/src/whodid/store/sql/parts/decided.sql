{#- What is asked for of decisions, in a period: of what is named, that which something is asked for. -#}
{%- set columns = {
    "id": "attribution_policy_decision_id",
    "outcome": "attribution_policy_decision_outcome",
    "enforcement": "attribution_policy_enforcement_action",
    "policy_id": "attribution_policy_id",
    "rule": "attribution_policy_rule_id",
    "agent": "gen_ai_agent_name",
    "tool": "gen_ai_tool_name",
    "principal": "attribution_principal_id",
} -%}
{%- macro asked(given, names=columns) -%}
start_time >= {since:DateTime64(9,'UTC')} AND start_time < {until:DateTime64(9,'UTC')}
{%- if not given.everywhere %}
  AND toStartOfFiveMinutes(start_time) IN {steps:Array(DateTime('UTC'))}
{%- endif %}
{%- for name in names if given[name] %}
  AND {{ columns[name] }} = {{ "{" }}{{ name }}:String}
{%- endfor %}
{%- endmacro -%}
