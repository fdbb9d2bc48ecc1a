{#- Which spans are of the start that a blast radius is reckoned from. -#}
{%- if given.kind == "credential" %}attribution_credential_id = {id:String}
{%- elif given.kind == "principal" %}attribution_principal_id = {id:String}
{%- elif given.kind == "task" %}attribution_task_id = {id:String}
{%- elif given.kind == "session" %}(session_id = {id:String} OR gen_ai_conversation_id = {id:String})
{%- elif given.kind == "instance" %}attribution_agent_instance_id = {id:String}
{%- elif given.kind == "identity" %}attribution_agent_identity_id = {id:String}
{%- elif given.kind == "tool" %}gen_ai_tool_name = {id:String}
{%- elif given.kind == "agent" -%}
    {#- What others did on an agent's delegation was reached through it; the principal is no agent. -#}
(gen_ai_agent_name = {id:String} OR has(attribution_delegation_chain, {id:String})
            AND (attribution_delegation_chain[1] != {id:String} OR has(arrayPopFront(attribution_delegation_chain), {id:String})))
{%- endif -%}
