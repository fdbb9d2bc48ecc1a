"""What other instrumentations call things, and what it is called here: each line of the table, both ways."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.spans import Sent, Value, request
from whodid.processor.batch import Batch
from whodid.processor.stages.decode import decode, maps
from whodid.processor.stages.dialects import DIALECTS, GENERAL
from whodid.processor.stages.normalise import normalise
from whodid.semconv import registry

Said = dict[str, Value]

OPENINFERENCE = "openinference.span.kind"
TRACELOOP = "traceloop.span.kind"
LANGSMITH = "langsmith.span.kind"
VERCEL = "ai.operationId"
LANGFUSE = "langfuse.observation.type"

OPERATIONS = [
    ("openinference", OPENINFERENCE, "AGENT", "invoke_agent"),
    ("openinference", OPENINFERENCE, "TOOL", "execute_tool"),
    ("openinference", OPENINFERENCE, "LLM", "chat"),
    ("openinference", OPENINFERENCE, "CHAIN", "invoke_workflow"),
    ("openinference", OPENINFERENCE, "RETRIEVER", "retrieval"),
    ("openinference", OPENINFERENCE, "EMBEDDING", "embeddings"),
    ("openinference", OPENINFERENCE, "GUARDRAIL", "evaluate_policy"),
    ("openinference", OPENINFERENCE, "RERANKER", None),
    ("openllmetry", TRACELOOP, "workflow", "invoke_workflow"),
    ("openllmetry", TRACELOOP, "agent", "invoke_agent"),
    ("openllmetry", TRACELOOP, "tool", "execute_tool"),
    ("openllmetry", TRACELOOP, "task", None),
    ("langsmith", LANGSMITH, "llm", "chat"),
    ("langsmith", LANGSMITH, "tool", "execute_tool"),
    ("langsmith", LANGSMITH, "chain", "invoke_workflow"),
    ("langsmith", LANGSMITH, "retriever", "retrieval"),
    ("langsmith", LANGSMITH, "embedding", "embeddings"),
    ("langsmith", LANGSMITH, "prompt", None),
    ("langsmith", LANGSMITH, "parser", None),
    ("vercel_ai", VERCEL, "ai.generateText", "invoke_agent"),
    ("vercel_ai", VERCEL, "ai.streamText", "invoke_agent"),
    ("vercel_ai", VERCEL, "ai.generateText.doGenerate", "chat"),
    ("vercel_ai", VERCEL, "ai.streamText.doStream", "chat"),
    ("vercel_ai", VERCEL, "ai.generateObject", "invoke_agent"),
    ("vercel_ai", VERCEL, "ai.streamObject.doStream", "chat"),
    ("vercel_ai", VERCEL, "ai.embed", "embeddings"),
    ("vercel_ai", VERCEL, "ai.embedMany.doEmbed", "embeddings"),
    ("vercel_ai", VERCEL, "ai.toolCall", "execute_tool"),
    ("vercel_ai", VERCEL, "ai.rerank", None),
    ("langfuse", LANGFUSE, "generation", "chat"),
    ("langfuse", LANGFUSE, "agent", "invoke_agent"),
    ("langfuse", LANGFUSE, "tool", "execute_tool"),
    ("langfuse", LANGFUSE, "chain", "invoke_workflow"),
    ("langfuse", LANGFUSE, "retriever", "retrieval"),
    ("langfuse", LANGFUSE, "embedding", "embeddings"),
    ("langfuse", LANGFUSE, "guardrail", "evaluate_policy"),
    ("langfuse", LANGFUSE, "span", None),
    ("langfuse", LANGFUSE, "evaluator", None),
]


@dataclass(frozen=True)
class Case:
    """What a span says, and every canonical thing that follows, its operation aside."""

    dialect: str
    sent: Said
    follows: Said = field(default_factory=dict[str, Value])
    scope: str = "tests"


TOOL: Said = {OPENINFERENCE: "TOOL"}
TRACELOOP_TOOL: Said = {TRACELOOP: "tool"}
EXECUTE: Said = {"gen_ai.operation.name": "execute_tool"}
CASES = {
    "agent.name": Case(
        "openinference", {OPENINFERENCE: "AGENT", "agent.name": "a"}, {"gen_ai.agent.name": "a"}
    ),
    "metadata": Case(
        "openinference",
        {OPENINFERENCE: "AGENT", "metadata": '{"lc_agent_name": "a", "user_id": "u"}'},
        {"gen_ai.agent.name": "a"},
    ),
    "tool.name": Case("openinference", TOOL | {"tool.name": "t"}, {"gen_ai.tool.name": "t"}),
    "tool.description": Case(
        "openinference", TOOL | {"tool.description": "d"}, {"gen_ai.tool.description": "d"}
    ),
    "tool_call.id": Case("openinference", TOOL | {"tool_call.id": "c"}, {"gen_ai.tool.call.id": "c"}),
    "tool.id": Case("openinference", TOOL | {"tool.id": "c"}, {"gen_ai.tool.call.id": "c"}),
    "message.tool_call_id": Case(
        "openinference", TOOL | {"message.tool_call_id": "c"}, {"gen_ai.tool.call.id": "c"}
    ),
    "tool.parameters": Case(
        "openinference", TOOL | {"tool.parameters": "{}"}, {"gen_ai.tool.call.arguments": "{}"}
    ),
    "input.value": Case(
        "openinference",
        TOOL | {"input.value": "i", "output.value": "o", "tool.parameters": '{"type": "object"}'},
        {"gen_ai.tool.call.arguments": "i", "gen_ai.tool.call.result": "o"},
    ),
    "input.value of no tool": Case(
        "openinference", {OPENINFERENCE: "LLM", "input.value": "i", "output.value": "o"}
    ),
    "llm": Case(
        "openinference",
        {
            OPENINFERENCE: "LLM",
            "llm.system": "openai",
            "llm.provider": "azure",
            "llm.model_name": "m",
            "llm.token_count.prompt": 3,
            "llm.token_count.completion": 4,
        },
        {
            "gen_ai.provider.name": "azure",
            "gen_ai.request.model": "m",
            "gen_ai.usage.input_tokens": 3,
            "gen_ai.usage.output_tokens": 4,
        },
    ),
    "llm.system": Case(
        "openinference", {OPENINFERENCE: "LLM", "llm.system": "s"}, {"gen_ai.provider.name": "s"}
    ),
    "two models": Case(
        "openinference",
        {
            OPENINFERENCE: "LLM",
            "llm.model_name": "?",
            "llm.request.model_name": "asked",
            "llm.response.model_name": "answered",
        },
        {"gen_ai.request.model": "asked", "gen_ai.response.model": "answered"},
    ),
    "entity of a tool": Case(
        "openllmetry",
        TRACELOOP_TOOL
        | {
            "traceloop.entity.name": "t",
            "traceloop.entity.input": "i",
            "traceloop.entity.output": "o",
            "traceloop.workflow.name": "w",
        },
        {
            "gen_ai.tool.name": "t",
            "gen_ai.tool.call.arguments": "i",
            "gen_ai.tool.call.result": "o",
            "gen_ai.workflow.name": "w",
        },
    ),
    "entity of an agent": Case(
        "openllmetry",
        {TRACELOOP: "agent", "traceloop.entity.name": "a", "traceloop.entity.input": "i"},
        {"gen_ai.agent.name": "a"},
    ),
    "entity of a workflow": Case(
        "openllmetry",
        {TRACELOOP: "workflow", "traceloop.entity.name": "w", "traceloop.workflow.name": "outer"},
        {"gen_ai.workflow.name": "w"},
    ),
    "a model span of traceloop": Case(
        "openllmetry",
        {"traceloop.entity.path": "model", "traceloop.association.properties.lc_agent_name": "a"},
        {"gen_ai.agent.name": "a"},
    ),
    "traceloop's user": Case(
        "",
        {
            "traceloop.association.properties.user_id": "u",
            "traceloop.association.properties.session_id": "s",
        },
        {"user.id": "u", "session.id": "s"},
    ),
    "older names": Case(
        "",
        {"gen_ai.system": "p", "gen_ai.usage.prompt_tokens": 1, "gen_ai.usage.completion_tokens": 2},
        {"gen_ai.provider.name": "p", "gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 2},
    ),
    "pydantic's names until its version 2": Case(
        "pydantic_ai",
        EXECUTE | {"agent_name": "a", "tool_arguments": "i", "tool_response": "o"},
        {"gen_ai.agent.name": "a", "gen_ai.tool.call.arguments": "i", "gen_ai.tool.call.result": "o"},
        "pydantic-ai",
    ),
    "the same names of somebody else": Case("", {"agent_name": "a", "tool_arguments": "i"}),
    "a run of pydantic's": Case(
        "pydantic_ai", {"gen_ai.agent.call.id": "r"}, {"attribution.agent.instance.id": "r"}
    ),
    "a tool that waits for approval": Case(
        "pydantic_ai",
        EXECUTE | {"pydantic_ai.tool.deferral.name": "ApprovalRequired"},
        {"attribution.approval.status": "requested"},
    ),
    "a tool that waits for something else": Case(
        "pydantic_ai", EXECUTE | {"pydantic_ai.tool.deferral.name": "CallDeferred"}
    ),
    "langsmith's thread": Case(
        "langsmith",
        {
            LANGSMITH: "chain",
            "langsmith.metadata.thread_id": "t",
            "langsmith.trace.session_id": "project",
            "langsmith.metadata.lc_agent_name": "a",
            "gen_ai.prompt": "i",
        },
        {"gen_ai.conversation.id": "t", "gen_ai.agent.name": "a"},
    ),
    "langsmith's tool": Case(
        "langsmith",
        {LANGSMITH: "tool", "gen_ai.prompt": "i", "gen_ai.completion": "o"},
        {"gen_ai.tool.call.arguments": "i", "gen_ai.tool.call.result": "o"},
    ),
    "langsmith's project": Case("langsmith", {"langsmith.trace.session_id": "project"}, {}, "langsmith"),
    "vercel's tool": Case(
        "vercel_ai",
        {
            VERCEL: "ai.toolCall",
            "ai.toolCall.name": "t",
            "ai.toolCall.id": "c",
            "ai.toolCall.args": "i",
            "ai.toolCall.result": "o",
        },
        {
            "gen_ai.tool.name": "t",
            "gen_ai.tool.call.id": "c",
            "gen_ai.tool.call.arguments": "i",
            "gen_ai.tool.call.result": "o",
        },
    ),
    "vercel's user": Case(
        "vercel_ai",
        {"ai.telemetry.metadata.userId": "u", "ai.telemetry.metadata.sessionId": "s"},
        {"user.id": "u", "session.id": "s"},
    ),
    "vercel's model": Case(
        "vercel_ai",
        {
            VERCEL: "ai.generateText.doGenerate",
            "ai.model.provider": "p",
            "ai.model.id": "m",
            "ai.usage.promptTokens": 1,
            "ai.usage.completionTokens": 2,
        },
        {
            "gen_ai.provider.name": "p",
            "gen_ai.request.model": "m",
            "gen_ai.usage.input_tokens": 1,
            "gen_ai.usage.output_tokens": 2,
        },
    ),
    "vercel's newer counts": Case(
        "vercel_ai",
        {VERCEL: "ai.streamText.doStream", "ai.usage.inputTokens": 1, "ai.usage.outputTokens": 2},
        {"gen_ai.usage.input_tokens": 1, "gen_ai.usage.output_tokens": 2},
    ),
    "langfuse's tool": Case(
        "langfuse",
        {LANGFUSE: "tool", "langfuse.observation.input": "i", "langfuse.observation.output": "o"},
        {"gen_ai.tool.call.arguments": "i", "gen_ai.tool.call.result": "o"},
    ),
    "langfuse's span": Case("langfuse", {LANGFUSE: "span", "langfuse.observation.input": "i"}),
    "langfuse's model": Case(
        "langfuse",
        {LANGFUSE: "generation", "langfuse.observation.model.name": "m"},
        {"gen_ai.request.model": "m"},
    ),
    "langfuse's user": Case(
        "langfuse",
        {"langfuse.user.id": "u", "langfuse.session.id": "s"},
        {"user.id": "u", "session.id": "s"},
    ),
    "enduser": Case("", {"enduser.id": "u", "enduser.pseudo.id": "h"}, {"user.id": "u", "user.hash": "h"}),
}

SCOPES = [
    ("openinference.instrumentation.crewai", "openinference"),
    ("openinference", ""),
    ("pydantic-ai", "pydantic_ai"),
    ("langsmith", "langsmith"),
    ("langsmith.mine", ""),
    ("ai", "vercel_ai"),
    ("langfuse-sdk", "langfuse"),
    ("opentelemetry.instrumentation.langchain", ""),
    ("whodid.instrumentation.langchain", ""),
]


def normalised(sent: Said, scope: str = "tests") -> Batch:
    """A batch whose first span says this; the second says nothing."""
    return normalise(decode([request(Sent(attributes=sent), Sent(), scope=scope)]))


def canonical(batch: Batch) -> Said:
    """What the first span says in canonical names, its columns and what was added to its attributes."""
    found: Said = {}
    for entries in maps(batch.attributes):
        found |= dict(entries[0].as_py())
    for name, column in batch.columns.items():
        found[name] = column[0].as_py()
        assert column[1].as_py() is None
    return {
        name: value
        for name, value in found.items()
        if value is not None and name in registry.ATTRIBUTES and registry.ATTRIBUTES[name].renamed_to is None
    }


def kept(batch: Batch) -> Said:
    """The first span's own strings, as they stay beside the columns."""
    return dict(maps(batch.attributes, batch.lifted)[0][0].as_py())


def dialect(batch: Batch) -> Any:
    return batch.spans.column("dialect")[0].as_py()


@pytest.mark.parametrize(("name", "key", "kind", "operation"), OPERATIONS)
def test_a_kind_of_span_is_an_operation(name: str, key: str, kind: str, operation: str | None) -> None:
    batch = normalised({key: kind})
    assert dialect(batch) == name
    assert canonical(batch) == ({} if operation is None else {"gen_ai.operation.name": operation})
    assert kept(batch) == {key: kind}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_dialect_s_name_has_a_canonical_one(case: Case) -> None:
    batch = normalised(case.sent, case.scope)
    found = canonical(batch)
    found.pop("gen_ai.operation.name", None)
    assert found == case.follows
    assert dialect(batch) == case.dialect


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_was_sent_is_kept(case: Case) -> None:
    sent = {name: value for name, value in case.sent.items() if isinstance(value, str)}
    sent.pop("gen_ai.operation.name", None)  # canonical: in its column, and nowhere else
    batch = normalised(case.sent, case.scope)
    assert sent.items() <= kept(batch).items()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_is_said_canonically_is_never_replaced(case: Case) -> None:
    ours: Said = {name: 7_000 if isinstance(value, int) else "ours" for name, value in case.follows.items()}
    found = canonical(normalised(case.sent | ours, case.scope))
    found.pop("gen_ai.operation.name", None)
    assert found == ours


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_nothing_becomes_a_principal(case: Case) -> None:
    trusted = ("attribution.principal", "attribution.initiator", "attribution.delegation", "user.roles")
    assert not [name for name in canonical(normalised(case.sent, case.scope)) if name.startswith(trusted)]


@pytest.mark.parametrize(("scope", "name"), SCOPES)
def test_a_scope_tells_the_dialect(scope: str, name: str) -> None:
    batch = normalised({"app.key": "x"}, scope)
    assert dialect(batch) == name
    assert canonical(batch) == {}


@pytest.mark.parametrize(
    ("kind", "claimed", "operation"),
    [
        ("retriever", "embeddings", "retrieval"),
        ("chain", "chain", "invoke_workflow"),
        ("prompt", "chat", None),
        # What LangSmith gets right, and what an application says itself, stays.
        ("embedding", "embeddings", "embeddings"),
        ("llm", "chat", "chat"),
        ("chain", "invoke_agent", "invoke_agent"),
        ("parser", "parser", "parser"),
    ],
)
def test_langsmith_s_wrong_operations_are_corrected_and_its_claims_kept(
    kind: str, claimed: str, operation: str | None
) -> None:
    batch = normalised({LANGSMITH: kind, "gen_ai.operation.name": claimed})
    assert batch.columns["gen_ai.operation.name"].to_pylist() == [operation, None]
    wrong: Said = {} if claimed == operation else {"gen_ai.operation.name": claimed}
    assert kept(batch) == {LANGSMITH: kind} | wrong


def test_the_same_claim_of_somebody_else_is_not_corrected() -> None:
    batch = normalised({LANGFUSE: "retriever", "gen_ai.operation.name": "embeddings"})
    assert batch.columns["gen_ai.operation.name"][0].as_py() == "embeddings"


def test_a_span_in_two_dialects_is_read_in_both_and_the_first_counts() -> None:
    sent: Said = {
        OPENINFERENCE: "TOOL",
        "tool.name": "first",
        TRACELOOP: "agent",
        "traceloop.entity.name": "second",
        "traceloop.workflow.name": "w",
    }
    batch = normalised(sent)
    assert dialect(batch) == "openinference"
    assert canonical(batch) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "first",
        "gen_ai.workflow.name": "w",
    }


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    spans = [Sent(attributes=case.sent) for case in CASES.values()]
    together = normalise(decode([request(*spans)]))
    for row, span in enumerate(spans):
        alone = normalise(decode([request(span)]))
        for name, column in together.columns.items():
            other = alone.columns.get(name)
            assert column[row].as_py() == (None if other is None else other[0].as_py()), name


def test_a_rename_that_reads_into_a_value_has_a_column() -> None:
    for rename in (*GENERAL, *(each for dialect in DIALECTS for each in dialect.renames)):
        if rename.json_field or rename.values:
            assert registry.ATTRIBUTES[rename.target].column is not None
