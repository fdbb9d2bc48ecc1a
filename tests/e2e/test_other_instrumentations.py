"""The same LangGraph agent under OpenInference and under OpenLLMetry: the real packages, a real service."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import stored
from tests.running import environment, service
from whodid.semconv import attributes as attr

AGENT = Path(__file__).parents[1] / "programs" / "order_agent.py"
INSTRUMENTATIONS = ("openinference", "openllmetry")

Row = dict[str, Any]
Runs = Mapping[str, tuple[list[Row], Row]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """By instrumentation: what is stored of the agent's run, and the record of its tool call."""
    folder = tmp_path_factory.mktemp("dialects")
    with service(folder) as running:
        for instrumentation in INSTRUMENTATIONS:
            subprocess.run(
                (sys.executable, str(AGENT), instrumentation),
                env=environment(**running.exporter_variables),
                check=True,
                timeout=120,
            )
        assert running.stop() == 0
    rows: dict[str, list[Row]] = {name: [] for name in INSTRUMENTATIONS}
    for row in stored.spans(folder):
        rows["openinference" if "openinference" in row["scope_name"] else "openllmetry"].append(row)
    with service(folder) as running:
        return {name: (rows[name], running.ask(f"who/{tool_span(rows[name])}")) for name in INSTRUMENTATIONS}


def tool_span(rows: list[Row]) -> str:
    (tool,) = (row for row in rows if row["gen_ai_operation_name"] == "execute_tool")
    return tool["span_id"].hex()


def operations(rows: list[Row]) -> dict[str, str]:
    return {row["name"]: row["gen_ai_operation_name"] for row in rows}


@pytest.mark.parametrize("instrumentation", INSTRUMENTATIONS)
def test_operations_are_canonical(runs: Runs, instrumentation: str) -> None:
    found = set(operations(runs[instrumentation][0]).values())
    assert found >= {"invoke_agent", "execute_tool", "chat"}


def test_openinference_keeps_its_originals(runs: Runs) -> None:
    rows, _ = runs["openinference"]
    assert {row["dialect"] for row in rows} == {"openinference"}
    (tool,) = (row for row in rows if row["gen_ai_operation_name"] == "execute_tool")
    attributes = dict(tool["attributes"])
    assert attributes["openinference.span.kind"] == "TOOL"
    assert attributes["tool.name"] == tool["gen_ai_tool_name"] == "lookup_order"
    assert attributes["input.value"] == attributes[attr.GEN_AI_TOOL_CALL_ARGUMENTS]
    assert attributes["tool.description"] == attributes[attr.GEN_AI_TOOL_DESCRIPTION] == "Looks up an order."


def test_openllmetry_keeps_its_originals(runs: Runs) -> None:
    rows, _ = runs["openllmetry"]
    (tool,) = (row for row in rows if row["gen_ai_operation_name"] == "execute_tool")
    attributes = dict(tool["attributes"])
    assert tool["dialect"] == "openllmetry"
    assert attributes["traceloop.span.kind"] == "tool"
    assert attributes["traceloop.entity.name"] == tool["gen_ai_tool_name"] == "lookup_order"
    assert tool["gen_ai_agent_name"] == attributes["traceloop.association.properties.lc_agent_name"]


@pytest.mark.parametrize("instrumentation", INSTRUMENTATIONS)
def test_the_record_has_what_they_say_and_shows_the_rest_as_missing(runs: Runs, instrumentation: str) -> None:
    _, record = runs[instrumentation]
    assert record["tool"]["name"]["value"] == "lookup_order"
    assert record["actor"]["name"]["value"] == "research-agent"
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
    assert {finding["rule"] for finding in record["findings"]} == {"missing_required"}
    wanted = {attr.ATTRIBUTION_PRINCIPAL_ID, attr.ATTRIBUTION_ACTION_ID, attr.ATTRIBUTION_TASK_ID}
    assert {finding["attribute"] for finding in record["findings"]} >= wanted
