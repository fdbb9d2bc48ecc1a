{#- The actions between two times with what is asked for: their spans, grouped, as `s`. What is not asked for is not in the
    query: to plan a condition costs more than most of them take to be met. -#}
{%- set columns = {
    "id": ["gen_ai_tool_call_id", "attribution_action_id", "attribution_correlation_id", "attribution_approval_id",
           "attribution_policy_decision_id", "attribution_credential_id", "attribution_principal_id",
           "attribution_task_id", "session_id", "gen_ai_conversation_id"],
    "credential": ["attribution_credential_id"],
    "session": ["session_id", "gen_ai_conversation_id"],
    "task": ["attribution_task_id"],
    "resource": ["attribution_resource_id"],
    "principal": ["attribution_principal_id"],
    "initiator": ["attribution_initiator_id"],
    "error": ["error_type"],
    "enforcement": ["attribution_policy_enforcement_action"],
    "resource_type": ["attribution_resource_type"],
    "tool": ["gen_ai_tool_name"],
    "agent": ["gen_ai_agent_name", "attribution_agent_instance_id", "attribution_agent_identity_id"],
    "effect": ["attribution_action_effect"],
    "mode": ["attribution_action_mode"],
    "decision": ["attribution_policy_decision_outcome"],
    "service": ["service_name"],
} -%}
{%- macro says(name, of="") -%}
{%- for column in columns[name] %}{{ of }}{{ column }} IN {{ "{" }}{{ name }}:Array(String)}{{ " OR " if not loop.last }}{% endfor -%}
{%- endmacro %}
FROM (
    SELECT trace_id, span_id, start_time, status_code, service_name, session_id, gen_ai_conversation_id,
        gen_ai_operation_name, mcp_method_name, gen_ai_agent_name, gen_ai_tool_name, gen_ai_tool_call_id, error_type,
        attribution_agent_instance_id, attribution_agent_identity_id, attribution_initiator_id,
        attribution_principal_id, attribution_task_id, attribution_action_id, attribution_action_mode,
        attribution_action_effect, attribution_policy_decision_id, attribution_policy_decision_outcome,
        attribution_policy_enforcement_action, attribution_approval_id, attribution_credential_id,
        attribution_resource_type, attribution_resource_id, attribution_correlation_id,
        gen_ai_operation_name IN {operations:Array(String)} OR mcp_method_name IN {operations:Array(String)} AS acts,
        gen_ai_operation_name IN ('execute_tool', 'evaluate_policy') OR mcp_method_name = 'tools/call' AS of_tool,
        if(of_tool AND attribution_action_id != '', attribution_action_id, lower(hex(span_id))) AS key
    FROM {database}.spans
    WHERE tenant_id = {tenant:String}
      AND start_time >= {from:DateTime64(9,'UTC')} AND start_time < {to:DateTime64(9,'UTC')}
{%- if not given.everywhere %}
      AND toStartOfFiveMinutes(start_time) IN (
            SELECT arrayJoin(arrayFlatten(arrayMap(step -> [step - 600, step - 300, step, step + 300, step + 600],
                {steps:Array(DateTime('UTC'))}))))
{%- endif %}
      AND (acts{% if "execute_tool" in given.operations %} OR gen_ai_operation_name = 'evaluate_policy'{% endif %})
{%- if given.driver == "rule" %}
      AND trace_id IN (
            SELECT trace_id FROM {database}.findings
            WHERE tenant_id = {tenant:String} AND rule IN {rule:Array(String)}
              AND start_time >= {from:DateTime64(9,'UTC')} AND start_time < {to:DateTime64(9,'UTC')})
{%- elif given.driver %}
      AND trace_id IN (
            SELECT trace_id FROM {database}.spans
            WHERE tenant_id = {tenant:String}
              AND start_time >= {from:DateTime64(9,'UTC')} AND start_time < {to:DateTime64(9,'UTC')}
{%- if not given.everywhere %}
              AND toStartOfFiveMinutes(start_time) IN {steps:Array(DateTime('UTC'))}
{%- endif %}
{%- if given.driver == "failed" %}
              AND (status_code = 'ERROR' OR error_type != '')
{%- elif given.driver.startswith("without_") %}
              AND {{ columns[given.driver[8:]][0] }} = ''
{%- else %}
              AND ({{ says(given.driver) }}
{%- if given.driver == "id" and given.traces %}
                   OR trace_id IN (SELECT toFixedString(unhex(arrayJoin({traces:Array(String)})), 16))
{%- endif %})
{%- endif %}
              AND (gen_ai_operation_name IN {operations:Array(String)} OR mcp_method_name IN {operations:Array(String)}
                   OR gen_ai_operation_name = 'evaluate_policy'))
{%- endif %}
) AS s
GROUP BY s.trace_id, key
HAVING start_ns >= {first_ns:Int64}
   AND (start_ns, trace, key) < ({before_ns:Int64}, {before_trace:String}, {before_key:String})
{%- for name in columns if given[name] %}
   AND countIf({{ says(name, "s.") }}
{%- if name == "id" %} OR lower(hex(s.trace_id)) IN {id:Array(String)} OR lower(hex(s.span_id)) IN {id:Array(String)}{% endif %}) > 0
{%- endfor %}
{%- for name in given.without %}
   AND max(toString(s.{{ columns[name][0] }})) = ''
{%- endfor %}
{%- if given.status %}
   AND became IN {status:Array(String)}
{%- endif %}
{%- if given["rule"] %}
   AND countIf((s.trace_id, s.span_id) IN (
            SELECT trace_id, span_id FROM {database}.findings
            WHERE tenant_id = {tenant:String} AND rule IN {rule:Array(String)}
              AND start_time >= {from:DateTime64(9,'UTC')} AND start_time < {to:DateTime64(9,'UTC')})) > 0
{%- endif %}
