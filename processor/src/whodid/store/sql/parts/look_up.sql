{#- A look-up: a statement that reads a few granules of `spans`, because it is known when what it looks for was. -#}
{#- Beyond so many steps of five minutes there is enough to read for several threads. -#}
{%- set few_steps = 64 -%}
{%- macro in_its_times(given) -%}
{%- if not given.everywhere %}
  AND toStartOfFiveMinutes(start_time) IN {steps:Array(DateTime('UTC'))}
{%- endif %}
{%- endmacro -%}
{#- Planned as it is written, which is why it has to say PREWHERE itself (ADR 0088). -#}
{%- macro settings(given) -%}
SETTINGS {% if not given.get("everywhere") and given.get("steps", []) | length <= few_steps -%}
max_threads = 1, {% endif -%}
query_plan_enable_optimizations = 0
{%- endmacro -%}
