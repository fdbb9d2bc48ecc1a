"""The question span: everything that is stored of one, and content only for who asks for it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.spans import Sent, Value, attribution
from whodid.processor.stages.dialects import DIALECTS
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions import UnknownIdError
from whodid.store.questions.content import MAX_UNKNOWN_CHARACTERS, is_content
from whodid.store.questions.span import QUESTION, SpanParameters, SpanRecord, StoredAttribute

Put = Callable[..., None]
SECRET = "the patient's name is Zaphod"


def ask(store: Store, span: Sent, **parameters: Any) -> SpanRecord:
    ids = {"trace_id": span.trace_id.hex(), "span_id": span.span_id.hex()}
    return QUESTION.ask(store.reader(), SpanParameters.model_validate(ids | parameters))


def by_name(attributes: list[StoredAttribute]) -> dict[str, StoredAttribute]:
    return {each.name: each for each in attributes}


def test_every_attribute_with_its_type(store: Store, put: Put) -> None:
    span = Sent(
        name="execute_tool refund",
        kind=trace_pb2.Span.SPAN_KIND_CLIENT,
        attributes={
            **attribution("execute_tool"),
            "text": "some",
            "number": 3,
            "double": 1.0,
            "truth": True,
            "list": ["a", 1],
            "map": {"a": {"b": 2}},
            "bytes": b"\x00\x01",
            attr.GEN_AI_USAGE_INPUT_TOKENS: 12,
        },
    )
    put(span, service="billing", resource={"host.name": "h-1", "process.pid": 7})
    answer = ask(store, span)
    assert (answer.name, answer.kind, answer.service) == ("execute_tool refund", "CLIENT", "billing")
    assert (answer.duration_ms, answer.scope_name, answer.copy_count) == (1.0, "tests", 1)
    told = by_name(answer.attributes)
    assert {name: (told[name].type, told[name].value) for name in ("text", "number", "double", "truth")} == {
        "text": ("string", "some"),
        "number": ("int", 3),
        "double": ("double", 1.0),
        "truth": ("bool", True),
    }
    assert (told["list"].type, told["list"].value) == ("array", ["a", 1])
    assert (told["map"].type, told["map"].value) == ("map", {"a": {"b": 2}})
    assert (told["bytes"].type, told["bytes"].value) == ("bytes", {"$bytes": "AAE="})
    assert (told[attr.GEN_AI_USAGE_INPUT_TOKENS].type, told[attr.GEN_AI_USAGE_INPUT_TOKENS].value) == (
        "int",
        12,
    )
    assert told[attr.ATTRIBUTION_DELEGATION_CHAIN].value == ["alice@acme.example", "support-agent"]
    resource = by_name(answer.resource)
    assert (resource["host.name"].value, resource["process.pid"].value) == ("h-1", 7)
    assert set(told) >= set(span.attributes)
    assert answer.gaps == []


@pytest.mark.parametrize(
    "value", [{"$json": 5}, {"$json": "NaN"}, {"$json": {}, "b": [1]}, {"$json": ["x"]}, 'a "$json"\n']
)
def test_a_resource_that_looks_like_what_stands_for_a_value_is_told_as_sent(
    store: Store, put: Put, value: Any
) -> None:
    span = Sent()
    put(span, resource={"app.said": value})
    told = by_name(ask(store, span).resource)["app.said"]
    assert (told.type, told.value) == ("string" if isinstance(value, str) else "map", value)


def test_a_resource_without_a_number_keeps_its_double(store: Store, put: Put) -> None:
    span = Sent()
    put(span, resource={"app.limit": math.inf})
    told = by_name(ask(store, span).resource)["app.limit"]
    assert (told.type, told.value) == ("double", math.inf)


def test_the_level_of_evidence_of_what_the_registry_knows(store: Store, put: Put) -> None:
    agent = Sent(attributes=attribution("invoke_agent"))
    span = Sent(
        attributes=attribution("execute_tool", ATTRIBUTION_TASK_ID="task-2") | {"other": "x"},
        trace_id=agent.trace_id,
        parent_id=agent.span_id,
    )
    put(span)
    alone = ask(store, span)
    assert by_name(alone.attributes)[attr.ATTRIBUTION_PRINCIPAL_ID].evidence is EvidenceLevel.SELF_ASSERTED
    assert alone.gaps == [f"its parent, {agent.span_id.hex()}, is not in the store"]
    put(agent)
    told = by_name(ask(store, span).attributes)
    assert told[attr.ATTRIBUTION_PRINCIPAL_ID].evidence is EvidenceLevel.PROPAGATED
    assert told[attr.ATTRIBUTION_TASK_ID].evidence is EvidenceLevel.SELF_ASSERTED
    assert told["other"].evidence is None


def test_events_links_status_and_findings(store: Store, put: Put) -> None:
    span = Sent(
        attributes=attribution("execute_tool", ATTRIBUTION_ACTION_MODE="guessed"),
        events={"attribution.approval.requested": {attr.ATTRIBUTION_APPROVAL_ID: "a-1"}},
        links=[(b"t" * 16, b"s" * 8)],
        error=True,
    )
    put(span)
    answer = ask(store, span)
    assert answer.status == "ERROR"
    (event,) = answer.events
    assert (event.name, event.at) == ("attribution.approval.requested", answer.started_at)
    assert [(each.name, each.value) for each in event.attributes] == [(attr.ATTRIBUTION_APPROVAL_ID, "a-1")]
    (link,) = answer.links
    assert (link.trace_id, link.span_id) == ((b"t" * 16).hex(), (b"s" * 8).hex())
    finding = next(each for each in answer.findings if each.rule == "undefined_value")
    assert finding.message is not None
    assert "'guessed'" in finding.message
    assert "OWASP-T8" in finding.controls


CONTENT: dict[str, Value] = {
    "gen_ai.input.messages": json.dumps([{"role": "user", "content": SECRET}]),
    "gen_ai.output.messages": [{"content": SECRET}],
    "gen_ai.system_instructions": SECRET,
    "gen_ai.tool.definitions": SECRET,
    attr.GEN_AI_TOOL_CALL_ARGUMENTS: {"q": SECRET},
    attr.GEN_AI_TOOL_CALL_RESULT: SECRET,
    attr.ATTRIBUTION_TASK_OBJECTIVE_TEXT: SECRET,
    "input.value": SECRET,
    "output.value": SECRET,
    "llm.input_messages.0.message.content": SECRET,
    "llm.output_messages.3.message.tool_calls.0.tool_call.function.arguments": SECRET,
    "traceloop.entity.input": SECRET,
    "traceloop.entity.output": SECRET,
    "gen_ai.prompt.0.content": SECRET,
    "gen_ai.completion.0.content": SECRET,
    "ai.prompt.messages": SECRET,
    "ai.response.text": SECRET,
    "langfuse.observation.input": SECRET,
    "retrieval.documents.0.document.content": SECRET,
    "tool_arguments": SECRET,
    "Input.Value": SECRET,
    "somebody.elses.name": SECRET + "x" * MAX_UNKNOWN_CHARACTERS,
}


def of_content() -> Sent:
    said = attribution("execute_tool")
    return Sent(
        attributes=said | CONTENT,
        events={
            "exception": {
                "exception.type": "ValueError",
                "exception.message": SECRET,
                "exception.stacktrace": SECRET,
            },
            "gen_ai.user.message": {"content": SECRET, "anything": SECRET, attr.GEN_AI_TOOL_NAME: "refund"},
            "log": {"message": SECRET},
        },
        links=[(b"t" * 16, b"s" * 8)],
        error=True,
    )


def test_content_is_told_by_name_and_size_alone(store: Store, put: Put) -> None:
    span = of_content()
    put(span)
    answer = ask(store, span)
    assert "Zaphod" not in answer.model_dump_json()
    told = by_name(answer.attributes)
    for name in CONTENT:
        assert (told[name].withheld, told[name].value) == (True, None), name
        assert told[name].size_bytes >= len(SECRET)
    assert told["input.value"].size_bytes == len(SECRET)
    assert told[attr.ATTRIBUTION_PRINCIPAL_ID].withheld is False
    events = {event.name: by_name(event.attributes) for event in answer.events}
    assert events["exception"]["exception.type"].value == "ValueError"
    assert events["exception"]["exception.message"].withheld
    assert events["gen_ai.user.message"][attr.GEN_AI_TOOL_NAME].value == "refund"
    assert events["gen_ai.user.message"]["anything"].withheld
    assert answer.withheld_count == len([1 for each in told.values() if each.withheld]) + 5
    assert answer.gaps[-1] == f"{answer.withheld_count} attributes are content, and not told"


def test_content_for_who_asks_for_it(store: Store, put: Put) -> None:
    span = of_content()
    put(span)
    answer = ask(store, span, content=True)
    assert (answer.withheld_count, answer.gaps) == (0, [])
    told = by_name(answer.attributes)
    assert told["input.value"].value == SECRET
    assert told["gen_ai.output.messages"].value == [{"content": SECRET}]
    assert not any(each.withheld for each in answer.attributes)


def test_a_finding_about_content_quotes_none(store: Store, put: Put) -> None:
    span = Sent(attributes=attribution("execute_tool") | {attr.ATTRIBUTION_TASK_OBJECTIVE_TEXT: 4711})
    put(span)
    for content in (False, True):
        (message,) = [
            each.message
            for each in ask(store, span, content=content).findings
            if each.attribute == attr.ATTRIBUTION_TASK_OBJECTIVE_TEXT
        ]
        assert (message is not None) is content


def test_every_dialect_s_name_for_content_is_content() -> None:
    held = (attr.GEN_AI_TOOL_CALL_ARGUMENTS, attr.GEN_AI_TOOL_CALL_RESULT)
    sources = [each.source for dialect in DIALECTS for each in dialect.renames if each.target in held]
    assert len(sources) > 5
    assert all(is_content(source) for source in sources)
    names = (
        attr.ATTRIBUTION_PRINCIPAL_ID,
        "gen_ai.request.model",
        "http.route",
        "input.mime_type",
        "error.type",
    )
    assert not any(is_content(name) for name in names)


def test_a_span_that_was_sent_again(store: Store, put: Put) -> None:
    span = Sent(attributes=attribution("execute_tool"))
    put(span)
    put(span)
    answer = ask(store, span)
    assert (answer.copy_count, answer.gaps) == (2, [])
    again = Sent(**vars(span))
    again.name = "another"
    put(again)
    assert ask(store, span).gaps == ["it was sent again with different content; the first is told"]


@pytest.mark.parametrize(
    ("trace", "span"),
    [("0" * 32, "0" * 16), ("abc", "1" * 16), ("1" * 32, "' OR 1"), ("", ""), ("ä" * 32, "\x00" * 16)],
)
def test_ids_that_are_none(store: Store, trace: str, span: str) -> None:
    parameters = SpanParameters.model_validate({"trace_id": trace, "span_id": span})
    with pytest.raises(UnknownIdError):
        QUESTION.ask(store.reader(), parameters)


def test_another_tenant_sees_nothing(store: Store, put: Put) -> None:
    span = Sent(attributes=attribution("execute_tool"))
    put(span)
    ids = {"trace_id": span.trace_id.hex().upper(), "span_id": span.span_id.hex()}
    parameters = SpanParameters.model_validate(ids)
    assert QUESTION.ask(store.reader(), parameters).span_id == span.span_id.hex()
    with pytest.raises(UnknownIdError):
        QUESTION.ask(store.reader("another"), parameters)
