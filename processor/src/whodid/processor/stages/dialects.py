"""What other instrumentations call things: the data that normalisation works from.

Sources: OpenInference's and OpenLLMetry's semantic conventions, and what their packages really emit.
"""

from __future__ import annotations

from dataclasses import dataclass

from whodid.semconv import attributes as attr


@dataclass(frozen=True, slots=True)
class Rename:
    """One attribute of a dialect and the canonical name of what it says."""

    source: str
    target: str
    operations: frozenset[str] = frozenset()
    """Only on spans of these operations; empty for all."""
    json_field: str | None = None
    """The source is a JSON object and this string field of it is meant."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one instrumentation speaks."""

    name: str
    span_kind: str
    """The attribute that tells the kind of a span, and with its presence that the span is this dialect's."""
    operations: dict[str, str]
    """The span kind's values to `gen_ai.operation.name`."""
    renames: tuple[Rename, ...]


_TOOL = frozenset(("execute_tool",))
_AGENT = frozenset(("invoke_agent",))
_WORKFLOW = frozenset(("invoke_workflow",))

OPENINFERENCE = Dialect(
    "openinference",
    "openinference.span.kind",
    {
        "AGENT": "invoke_agent",
        "TOOL": "execute_tool",
        "LLM": "chat",
        "CHAIN": "invoke_workflow",
        "RETRIEVER": "retrieval",
        "EMBEDDING": "embeddings",
        "GUARDRAIL": "evaluate_policy",
    },
    (
        Rename("agent.name", attr.GEN_AI_AGENT_NAME),
        # LangChain itself says which agent a run belongs to; OpenInference passes it on as metadata.
        Rename("metadata", attr.GEN_AI_AGENT_NAME, json_field="lc_agent_name"),
        Rename("tool.name", attr.GEN_AI_TOOL_NAME),
        Rename("tool.description", attr.GEN_AI_TOOL_DESCRIPTION),
        Rename("tool_call.id", attr.GEN_AI_TOOL_CALL_ID),
        Rename("message.tool_call_id", attr.GEN_AI_TOOL_CALL_ID),
        Rename("tool.parameters", attr.GEN_AI_TOOL_CALL_ARGUMENTS, _TOOL),
        Rename("input.value", attr.GEN_AI_TOOL_CALL_ARGUMENTS, _TOOL),
        Rename("output.value", attr.GEN_AI_TOOL_CALL_RESULT, _TOOL),
        Rename("llm.provider", attr.GEN_AI_PROVIDER_NAME),
        Rename("llm.system", attr.GEN_AI_PROVIDER_NAME),
        Rename("llm.model_name", attr.GEN_AI_REQUEST_MODEL),
        Rename("llm.token_count.prompt", attr.GEN_AI_USAGE_INPUT_TOKENS),
        Rename("llm.token_count.completion", attr.GEN_AI_USAGE_OUTPUT_TOKENS),
    ),
)

OPENLLMETRY = Dialect(
    "openllmetry",
    "traceloop.span.kind",
    {
        "workflow": "invoke_workflow",
        "agent": "invoke_agent",
        "tool": "execute_tool",
    },
    (
        Rename("traceloop.entity.name", attr.GEN_AI_TOOL_NAME, _TOOL),
        Rename("traceloop.entity.name", attr.GEN_AI_AGENT_NAME, _AGENT),
        Rename("traceloop.entity.name", attr.GEN_AI_WORKFLOW_NAME, _WORKFLOW),
        Rename("traceloop.workflow.name", attr.GEN_AI_WORKFLOW_NAME),
        Rename("traceloop.entity.input", attr.GEN_AI_TOOL_CALL_ARGUMENTS, _TOOL),
        Rename("traceloop.entity.output", attr.GEN_AI_TOOL_CALL_RESULT, _TOOL),
    ),
)

DIALECTS = (OPENINFERENCE, OPENLLMETRY)

GENERAL = (
    # On spans of every dialect, OpenLLMetry's model spans among them, which carry no span kind.
    Rename("traceloop.association.properties.lc_agent_name", attr.GEN_AI_AGENT_NAME),
    Rename("traceloop.association.properties.user_id", attr.USER_ID),
    Rename("traceloop.association.properties.session_id", attr.SESSION_ID),
    Rename("gen_ai.system", attr.GEN_AI_PROVIDER_NAME),
    Rename("gen_ai.usage.prompt_tokens", attr.GEN_AI_USAGE_INPUT_TOKENS),
    Rename("gen_ai.usage.completion_tokens", attr.GEN_AI_USAGE_OUTPUT_TOKENS),
    Rename("enduser.id", attr.USER_ID),
    Rename("enduser.pseudo.id", attr.USER_HASH),
)
