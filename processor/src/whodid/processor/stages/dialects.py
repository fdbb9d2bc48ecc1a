"""What other instrumentations call things: the data that normalisation works from.

Sources: OpenInference's, OpenLLMetry's and OpenTelemetry's semantic conventions; the source and the output of
OpenInference, OpenLLMetry, Pydantic AI 2.68 and LangSmith 0.15; the source of Langfuse 5.0 and of Vercel's
`ai` 5 and 6 with `@ai-sdk/otel` 1.

No dialect says on whose authority an agent acts. A user's id is what an application put into its telemetry,
so it becomes `user.id`, self-asserted like all that a sender says, and never the principal or the initiator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from whodid.semconv import attributes as attr
from whodid.semconv.registry import ATTRIBUTES
from whodid.semconv.values import ApprovalStatus


@dataclass(frozen=True, slots=True)
class Rename:
    """One attribute of a dialect and the canonical name of what it says."""

    source: str
    target: str
    operations: frozenset[str] = frozenset()
    """Only on spans of these operations; empty for all."""
    json_field: str | None = None
    """The source is a JSON object and this string field of it is meant. The target has to have a column."""
    values: Mapping[str, str] = field(default_factory=dict[str, str])
    """The source's values and what each is canonically; no other value is meant. Empty where they are the
    same. The target has to have a column."""


@dataclass(frozen=True, slots=True)
class Correction:
    """A dialect writes a canonical operation itself, and a wrong one: the claim is kept beside the answer."""

    kind: str
    """The span's kind in the dialect."""
    claimed: str
    """What the dialect makes of that kind under the canonical name."""
    operation: str | None
    """What it is; None where it is no operation that has a name."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one instrumentation speaks. A span is a dialect's by its scope's name or by one of these keys."""

    name: str
    span_kind: str
    """The attribute that tells the kind of a span; empty where there is none."""
    operations: Mapping[str, str]
    """The span kind's values to `gen_ai.operation.name`."""
    renames: tuple[Rename, ...]
    """The first that has a value counts."""
    scopes: tuple[str, ...] = ()
    """Names of instrumentation scopes, or with a point at their end the beginnings of such names."""
    keys: tuple[str, ...] = ()
    """Further attributes that no one else uses."""
    corrections: tuple[Correction, ...] = ()


_TOOL = frozenset(("execute_tool",))
_AGENT = frozenset(("invoke_agent",))
_WORKFLOW = frozenset(("invoke_workflow",))
_MODEL = frozenset(("chat", "text_completion", "generate_content", "embeddings"))

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
        Rename("tool.id", attr.GEN_AI_TOOL_CALL_ID, _TOOL),
        Rename("message.tool_call_id", attr.GEN_AI_TOOL_CALL_ID),
        # Second `tool.parameters`: some packages put the call's arguments there, some the tool's schema.
        Rename("input.value", attr.GEN_AI_TOOL_CALL_ARGUMENTS, _TOOL),
        Rename("tool.parameters", attr.GEN_AI_TOOL_CALL_ARGUMENTS, _TOOL),
        Rename("output.value", attr.GEN_AI_TOOL_CALL_RESULT, _TOOL),
        Rename("llm.provider", attr.GEN_AI_PROVIDER_NAME),
        Rename("llm.system", attr.GEN_AI_PROVIDER_NAME),
        Rename("llm.request.model_name", attr.GEN_AI_REQUEST_MODEL),
        Rename("llm.model_name", attr.GEN_AI_REQUEST_MODEL),
        Rename("embedding.model_name", attr.GEN_AI_REQUEST_MODEL),
        Rename("llm.response.model_name", attr.GEN_AI_RESPONSE_MODEL),
        Rename("llm.token_count.prompt", attr.GEN_AI_USAGE_INPUT_TOKENS),
        Rename("llm.token_count.completion", attr.GEN_AI_USAGE_OUTPUT_TOKENS),
    ),
    scopes=("openinference.instrumentation.",),
)

OPENLLMETRY = Dialect(
    "openllmetry",
    "traceloop.span.kind",
    {
        "workflow": "invoke_workflow",
        "agent": "invoke_agent",
        "tool": "execute_tool",
        # A `task` is a step of a workflow, for which OpenTelemetry has no operation.
    },
    (
        Rename("traceloop.entity.name", attr.GEN_AI_TOOL_NAME, _TOOL),
        Rename("traceloop.entity.name", attr.GEN_AI_AGENT_NAME, _AGENT),
        Rename("traceloop.entity.name", attr.GEN_AI_WORKFLOW_NAME, _WORKFLOW),
        Rename("traceloop.workflow.name", attr.GEN_AI_WORKFLOW_NAME),
        Rename("traceloop.entity.input", attr.GEN_AI_TOOL_CALL_ARGUMENTS, _TOOL),
        Rename("traceloop.entity.output", attr.GEN_AI_TOOL_CALL_RESULT, _TOOL),
        Rename("traceloop.association.properties.lc_agent_name", attr.GEN_AI_AGENT_NAME),
    ),
    # Its model spans have no span kind. Its scopes are named like OpenTelemetry's own: they tell nothing.
    keys=("traceloop.workflow.name", "traceloop.entity.path"),
)

PYDANTIC_AI = Dialect(
    "pydantic_ai",
    "",  # it says the operation canonically
    {},
    (
        Rename("agent_name", attr.GEN_AI_AGENT_NAME),
        Rename("tool_arguments", attr.GEN_AI_TOOL_CALL_ARGUMENTS, _TOOL),
        Rename("tool_response", attr.GEN_AI_TOOL_CALL_RESULT, _TOOL),
        # A run is an instance: Pydantic AI's agents are objects without a name of their own in the process.
        Rename("gen_ai.agent.call.id", attr.ATTRIBUTION_AGENT_INSTANCE_ID),
        Rename(
            "pydantic_ai.tool.deferral.name",
            attr.ATTRIBUTION_APPROVAL_STATUS,
            _TOOL,
            values={"ApprovalRequired": ApprovalStatus.REQUESTED.value},
        ),
    ),
    scopes=("pydantic-ai",),
    keys=("gen_ai.agent.call.id", "pydantic_ai.tool.deferral.name"),
)

LANGSMITH = Dialect(
    "langsmith",
    "langsmith.span.kind",
    {
        "llm": "chat",
        "tool": "execute_tool",
        "chain": "invoke_workflow",
        "retriever": "retrieval",
        "embedding": "embeddings",
    },
    (
        Rename("langsmith.metadata.thread_id", attr.GEN_AI_CONVERSATION_ID),
        # `langsmith.trace.session_id` is a project, and neither a session nor a conversation.
        Rename("langsmith.metadata.lc_agent_name", attr.GEN_AI_AGENT_NAME),
        # A run's inputs and outputs, whatever the run is.
        Rename("gen_ai.prompt", attr.GEN_AI_TOOL_CALL_ARGUMENTS, _TOOL),
        Rename("gen_ai.completion", attr.GEN_AI_TOOL_CALL_RESULT, _TOOL),
    ),
    scopes=("langsmith",),
    # LangSmith puts a run's type under `gen_ai.operation.name` where it knows no better.
    corrections=(
        Correction("retriever", "embeddings", "retrieval"),
        Correction("chain", "chain", "invoke_workflow"),
        Correction("prompt", "chat", None),  # fills in a template; no model is asked
    ),
)

VERCEL_AI = Dialect(
    "vercel_ai",
    "ai.operationId",
    {
        # As `@ai-sdk/otel` has it: a call with its steps is an agent's, and each step asks the model.
        "ai.generateText": "invoke_agent",
        "ai.streamText": "invoke_agent",
        "ai.generateObject": "invoke_agent",
        "ai.streamObject": "invoke_agent",
        "ai.generateText.doGenerate": "chat",
        "ai.streamText.doStream": "chat",
        "ai.generateObject.doGenerate": "chat",
        "ai.streamObject.doStream": "chat",
        "ai.embed": "embeddings",
        "ai.embedMany": "embeddings",
        "ai.embed.doEmbed": "embeddings",
        "ai.embedMany.doEmbed": "embeddings",
        "ai.toolCall": "execute_tool",
    },
    (
        Rename("ai.toolCall.name", attr.GEN_AI_TOOL_NAME),
        Rename("ai.toolCall.id", attr.GEN_AI_TOOL_CALL_ID),
        Rename("ai.toolCall.args", attr.GEN_AI_TOOL_CALL_ARGUMENTS),
        Rename("ai.toolCall.result", attr.GEN_AI_TOOL_CALL_RESULT),
        Rename("ai.telemetry.metadata.userId", attr.USER_ID),
        Rename("ai.telemetry.metadata.sessionId", attr.SESSION_ID),
        Rename("ai.model.provider", attr.GEN_AI_PROVIDER_NAME),
        Rename("ai.model.id", attr.GEN_AI_REQUEST_MODEL),
        Rename("ai.usage.inputTokens", attr.GEN_AI_USAGE_INPUT_TOKENS),
        Rename("ai.usage.promptTokens", attr.GEN_AI_USAGE_INPUT_TOKENS),
        Rename("ai.usage.outputTokens", attr.GEN_AI_USAGE_OUTPUT_TOKENS),
        Rename("ai.usage.completionTokens", attr.GEN_AI_USAGE_OUTPUT_TOKENS),
    ),
    scopes=("ai",),
    keys=("ai.toolCall.id", "ai.telemetry.metadata.userId", "ai.telemetry.metadata.sessionId"),
)

LANGFUSE = Dialect(
    "langfuse",
    "langfuse.observation.type",
    {
        "generation": "chat",
        "embedding": "embeddings",
        "agent": "invoke_agent",
        "tool": "execute_tool",
        "chain": "invoke_workflow",
        "retriever": "retrieval",
        "guardrail": "evaluate_policy",
    },
    (
        Rename("langfuse.observation.input", attr.GEN_AI_TOOL_CALL_ARGUMENTS, _TOOL),
        Rename("langfuse.observation.output", attr.GEN_AI_TOOL_CALL_RESULT, _TOOL),
        Rename("langfuse.observation.model.name", attr.GEN_AI_REQUEST_MODEL, _MODEL),
        Rename("langfuse.user.id", attr.USER_ID),
        Rename("langfuse.session.id", attr.SESSION_ID),
    ),
    scopes=("langfuse-sdk",),
    keys=("langfuse.user.id", "langfuse.session.id"),
)

DIALECTS = (OPENINFERENCE, OPENLLMETRY, PYDANTIC_AI, LANGSMITH, VERCEL_AI, LANGFUSE)
"""Where a span is in several, the first that answers counts."""

GENERAL = (
    # On spans of every dialect: applications set these themselves, or a library for all its spans.
    Rename("traceloop.association.properties.user_id", attr.USER_ID),
    Rename("traceloop.association.properties.session_id", attr.SESSION_ID),
    Rename("enduser.id", attr.USER_ID),
    Rename("enduser.pseudo.id", attr.USER_HASH),
    # OpenTelemetry's older names, and ours: the registry says what took their place.
    *(Rename(each.name, each.renamed_to) for each in ATTRIBUTES.values() if each.renamed_to is not None),
)
