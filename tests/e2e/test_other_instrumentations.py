"""One agent that looks up an order, under every other instrumentation: the real packages, a real service."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import stored
from tests.running import environment, service
from whodid.semconv import attributes as attr

PROGRAMS = Path(__file__).parents[1] / "programs"

CONTENT = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
}
LANGSMITH = {
    "LANGSMITH_TRACING": "true",
    "LANGSMITH_OTEL_ENABLED": "true",
    "LANGSMITH_OTEL_ONLY": "true",
    "LANGSMITH_API_KEY": "none",
    "LANGSMITH_ENDPOINT": "http://127.0.0.1:9",  # discard: nothing of this leaves the machine
}

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """An instrumentation, how the agent is run under it, and what it says about the tool call."""

    command: tuple[str, ...]
    dialect: str
    scope: str
    arguments: str
    """What it records as arguments, in its own form."""
    kept: Mapping[str, str] = field(default_factory=dict[str, str])
    """Attributes of its own that stay beside the canonical ones."""
    agent: str = "research-agent"
    call_id: str = ""
    operations: frozenset[str] = frozenset(("invoke_agent", "execute_tool", "chat"))
    variables: Mapping[str, str] = field(default_factory=dict[str, str])


CASES = {
    "openinference": Case(
        ("order_agent.py", "openinference"),
        "openinference",
        "openinference.instrumentation.langchain",
        "1002",
        {"openinference.span.kind": "TOOL", "tool.name": "lookup_order", "input.value": "1002"},
    ),
    "openllmetry": Case(
        ("order_agent.py", "openllmetry"),
        "openllmetry",
        "opentelemetry.instrumentation.langchain",
        "{\"input_str\": \"{'order_id': '1002'}\"",
        {"traceloop.span.kind": "tool", "traceloop.entity.name": "lookup_order"},
    ),
    "opentelemetry-langchain": Case(
        ("order_agent.py", "opentelemetry"),
        "",
        "opentelemetry.instrumentation.genai.langchain",
        '{"order_id":"1002"}',
        call_id="call_order_1002",
        operations=frozenset(("invoke_agent", "execute_tool")),  # it sees the models of some vendors only
        variables=CONTENT,
    ),
    "opentelemetry-openai-agents": Case(
        ("openai_order_agent.py",),
        "",
        "opentelemetry.instrumentation.genai.openai_agents",
        '{"order_id":"1002"}',
        agent="",  # its tool spans do not say whose they are
        operations=frozenset(("invoke_workflow", "invoke_agent", "execute_tool")),
        variables=CONTENT,
    ),
    "pydantic-ai": Case(
        ("typed_order_agent.py",),
        "pydantic_ai",
        "pydantic-ai",
        '{"order_id":"1002"}',
        call_id="call_order_1002",
    ),
    "pydantic-ai-2": Case(
        ("typed_order_agent.py", "2"),
        "pydantic_ai",
        "pydantic-ai",
        '{"order_id":"1002"}',
        {"tool_arguments": '{"order_id":"1002"}', "tool_response": "order 1002: paid"},
        call_id="call_order_1002",
    ),
    "langsmith": Case(
        ("order_agent.py", "langsmith"),
        "langsmith",
        "langsmith",
        '{"order_id":"1002"}',
        {"langsmith.span.kind": "tool", "gen_ai.prompt": '{"order_id":"1002"}'},
        call_id="call_order_1002",
        operations=frozenset(("invoke_workflow", "execute_tool", "chat")),  # it knows no agents
        variables=LANGSMITH,
    ),
}

Runs = Mapping[str, tuple[list[Row], Row]]
each = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """By instrumentation: what is stored of the agent's run, and the record of its tool call."""
    folder = tmp_path_factory.mktemp("dialects")
    with service(folder) as running:
        for name, case in CASES.items():
            program, *arguments = case.command
            variables = {"OTEL_SERVICE_NAME": name, **running.exporter_variables, **case.variables}
            subprocess.run(
                (sys.executable, str(PROGRAMS / program), *arguments),
                env=environment(**variables),
                check=True,
                timeout=120,
            )
        assert running.stop() == 0
    rows: dict[str, list[Row]] = {name: [] for name in CASES}
    for row in stored.spans(folder):
        rows[row["service_name"]].append(row)
    with service(folder) as running:
        return {
            name: (rows[name], running.ask(f"who?id={lookup(rows[name])['span_id'].hex()}")) for name in CASES
        }


def lookup(rows: list[Row]) -> Row:
    """The one span of the tool call."""
    (row,) = (row for row in rows if row["gen_ai_tool_name"] == "lookup_order")
    return row


@each
def test_the_package_itself_sent_it(runs: Runs, name: str) -> None:
    assert {row["scope_name"] for row in runs[name][0]} == {CASES[name].scope}


@each
def test_operations_are_canonical(runs: Runs, name: str) -> None:
    rows, _ = runs[name]
    assert {row["gen_ai_operation_name"] for row in rows} >= CASES[name].operations
    assert lookup(rows)["gen_ai_operation_name"] == "execute_tool"


@each
def test_the_tool_call_is_the_same_whoever_tells_it(runs: Runs, name: str) -> None:
    row, case = lookup(runs[name][0]), CASES[name]
    assert row["dialect"] == case.dialect
    assert row["gen_ai_agent_name"] == case.agent
    assert row["gen_ai_tool_call_id"] == case.call_id
    attributes = dict(row["attributes"])
    assert attributes[attr.GEN_AI_TOOL_CALL_ARGUMENTS].startswith(case.arguments)
    assert "order 1002: paid" in attributes[attr.GEN_AI_TOOL_CALL_RESULT]


@each
def test_the_originals_are_kept(runs: Runs, name: str) -> None:
    assert CASES[name].kept.items() <= dict(lookup(runs[name][0])["attributes"]).items()


@each
def test_the_record_has_what_they_say_and_shows_the_rest_as_missing(runs: Runs, name: str) -> None:
    _, record = runs[name]
    assert record["tool"]["name"]["value"] == "lookup_order"
    assert record["tool"]["call_id"]["value"] == (CASES[name].call_id or None)
    assert record["actor"]["name"]["value"] == (CASES[name].agent or None)
    assert record["outcome"]["status"] == "succeeded"
    missing: Row = {"value": None, "evidence": "missing", "spans": []}
    for answer in (
        record["principal"]["id"],
        record["initiator"]["id"],
        record["delegation_chain"],
        record["task"]["id"],
        record["mode"],
        record["decision"]["outcome"],
        record["credential"]["id"],
        record["actor"]["identity"],
    ):
        assert answer == missing
    assert "no policy decision about this action is recorded" in record["gaps"]
    wanted = {attr.ATTRIBUTION_PRINCIPAL_ID, attr.ATTRIBUTION_ACTION_ID, attr.ATTRIBUTION_TASK_ID}
    assert {finding["attribute"] for finding in record["findings"]} >= wanted


def test_a_user_in_metadata_is_a_user_and_never_the_principal(runs: Runs) -> None:
    row = lookup(runs["openllmetry"][0])
    assert row["user_id"] == "mallory@acme.example"
    assert row["attribution_principal_id"] == row["attribution_initiator_id"] == ""
    assert row["attribution_evidence_level"] == "missing"  # of the attribution: nobody said any


def test_langsmith_s_thread_is_the_conversation_and_its_project_is_not(runs: Runs) -> None:
    rows, _ = runs["langsmith"]
    assert {row["gen_ai_conversation_id"] for row in rows} == {"thread-1"}
    assert {row["session_id"] for row in rows} == {""}


def test_langsmith_s_chains_are_workflows_and_its_claim_is_kept(runs: Runs) -> None:
    chains = [row for row in runs["langsmith"][0] if row["gen_ai_operation_name"] == "invoke_workflow"]
    assert {dict(row["attributes"])[attr.GEN_AI_OPERATION_NAME] for row in chains} == {"chain"}


@pytest.mark.parametrize("name", ["pydantic-ai", "pydantic-ai-2"])
def test_pydantic_ai_s_runs_are_instances_and_what_waits_for_approval_says_so(runs: Runs, name: str) -> None:
    rows, record = runs[name]
    (run,) = (row for row in rows if row["gen_ai_operation_name"] == "invoke_agent")
    assert run["attribution_agent_instance_id"]
    assert record["actor"]["instance"]["value"] == run["attribution_agent_instance_id"]
    assert record["actor"]["instance"]["evidence"] in ("self_asserted", "propagated")
    (waiting,) = (row for row in rows if row["gen_ai_tool_name"] == "delete_order")
    assert waiting["attribution_approval_status"] == "requested"
    assert lookup(rows)["attribution_approval_status"] == ""


def test_openllmetry_s_arguments_hold_what_the_tool_was_given(runs: Runs) -> None:
    text = dict(lookup(runs["openllmetry"][0])["attributes"])[attr.GEN_AI_TOOL_CALL_ARGUMENTS]
    assert json.loads(text)["inputs"] == {"order_id": "1002"}
