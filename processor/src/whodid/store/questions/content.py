"""Which attributes hold content: what people, models and tools said. One place names them all."""

from __future__ import annotations

from whodid.processor.stages.dialects import DIALECTS, GENERAL
from whodid.semconv import attributes as attr
from whodid.semconv.registry import ATTRIBUTES

MAX_UNKNOWN_CHARACTERS = 1_000
"""A longer text under a name that nobody knows is taken for content: nobody can tell that it is not."""

_OURS = (
    attr.ATTRIBUTION_TASK_OBJECTIVE_TEXT,
    attr.GEN_AI_TOOL_CALL_ARGUMENTS,
    attr.GEN_AI_TOOL_CALL_RESULT,
)
"""Those of the registry."""

_SOURCES = {
    rename.source
    for renames in (*(dialect.renames for dialect in DIALECTS), GENERAL)
    for rename in renames
    if rename.target in _OURS
}
"""What other instrumentations call the same; the originals are kept beside it."""

_NAMES = {
    *_OURS,
    *_SOURCES,
    # OpenTelemetry's GenAI, database and exception conventions.
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.evaluation.explanation",
    "gen_ai.retrieval.query.text",
    "gen_ai.retrieval.documents",
    "db.query.text",
    "db.statement",
    "exception.message",
    "status_message",  # the field of a span; an exception said it, more often than not
    "exception.stacktrace",
    # OpenInference.
    "input.value",
    "output.value",
    "tool.parameters",
    "llm.prompts",
    "llm.completions",
    "llm.function_call",
    "llm.invocation_parameters",
    "embedding.text",
    # OpenLLMetry and LangSmith.
    "traceloop.entity.input",
    "traceloop.entity.output",
    "gen_ai.prompt",
    "gen_ai.completion",
    # Pydantic AI and Logfire.
    "all_messages_events",
    "pydantic_ai.all_messages",
    "final_result",
    "events",
    "request_data",
    "response_data",
    "logfire.msg",
    # Vercel AI.
    "ai.prompt",
    "ai.schema",
    "ai.value",
    "ai.values",
    # Names without a namespace that events and logs use.
    "body",
    "content",
    "message",
}

_BEGINNINGS = (
    "gen_ai.prompt.",
    "gen_ai.completion.",
    "gen_ai.input.",
    "gen_ai.output.",
    "gen_ai.content.",
    "gen_ai.event.content",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompt_template",
    "llm.prompts.",
    "llm.completions.",
    "llm.tools",
    "llm.request.functions",
    "message.content",
    "message.tool_calls",
    "message.function_call",
    "retrieval.documents",
    "reranker.input_documents",
    "reranker.output_documents",
    "reranker.query",
    "embedding.embeddings",
    "image.url",
    "audio.",
    "ai.prompt.",
    "ai.response.text",
    "ai.response.object",
    "ai.response.toolCalls",
    "ai.response.reasoning",
    "ai.result.",
    "langfuse.observation.input",
    "langfuse.observation.output",
    "langfuse.trace.input",
    "langfuse.trace.output",
    "http.request.body",
    "http.response.body",
)
"""Names that are content with whatever follows."""

_CONTENT_EVENTS = ("gen_ai.", "exception")
"""Events that are there for content: what they say and the registry does not know is content."""

_FOLDED = {name.lower() for name in _NAMES}
_FOLDED_BEGINNINGS = tuple(each.lower() for each in _BEGINNINGS)


def is_content(name: str, text: str = "", *, event: str = "") -> bool:
    """Whether an attribute is content, by its name, or by the length of what an unknown one says.

    `event`: the name of the event that it is an attribute of.
    """
    folded = name.lower()
    if folded in _FOLDED or folded.startswith(_FOLDED_BEGINNINGS):
        return True
    if name in ATTRIBUTES:
        return False
    if event.startswith(_CONTENT_EVENTS) and folded != "exception.type":
        return True
    return len(text) > MAX_UNKNOWN_CHARACTERS
