"""The benchmarks still work: a few spans through each, no figure is judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.benchmarks import ingest, payload, questions, stages
from whodid.store.questions import QUESTIONS

FEW = ("--rounds", "1", "--spans", "960", "--batch", "96")


def span_ids(body: bytes) -> list[bytes]:
    message = ExportTraceServiceRequest.FromString(body)
    return [
        span.span_id
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def runs(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text())["runs"]


@pytest.mark.parametrize("count", [1, 10, 48, 100, 512])
def test_a_payload_has_as_many_spans_as_were_asked_for(count: int) -> None:
    assert len(set(span_ids(payload.make(count, seed=1)))) == count


def test_a_stamped_request_has_fresh_ids_and_the_same_shape() -> None:
    stamp = payload.Stamp(100, seed=1)
    bodies = [stamp.fresh() for _ in range(20)]
    assert len({each for body, _ in bodies for each in span_ids(body)}) == 20 * 100
    for body, first in bodies:
        assert span_ids(body)[0] == first
        spans = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans
        assert all(span.parent_span_id == spans[0].span_id for span in spans[1:12])


def test_side_by_side(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert ingest.main([*FEW, "--json", str(file)]) == 0
    assert [(run["name"], run["stored"], run["lost"], run["doubled"]) for run in runs(file)] == [
        ("rotel", 960, 0, 0),
        ("whodid", 960, 0, 0),
    ]
    assert json.loads(file.read_text())["ratios"]["spans_per_s"] > 0


def test_a_fixed_rate(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert ingest.main(["--alone", "--steady", "--seconds", "2", "--rounds", "1", "--json", str(file)]) == 0
    (run,) = runs(file)
    assert (run["sent"], run["lost"]) == (10_000, 0)
    assert run["queryable_p99_ms"] >= run["queryable_p50_ms"] > 0


def test_full_load_for_a_time(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert ingest.main(["--alone", "--soak", "2", "--rounds", "1", "--json", str(file)]) == 0
    (run,) = runs(file)
    assert run["sent"] > 0
    assert (run["lost"], run["doubled"]) == (0, 0)
    assert run["memory_mib_per_minute"] is not None


def test_the_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "SERVICE_REQUESTS", 4)
    page, file = tmp_path / "page.md", tmp_path / "costs.json"
    page.write_text(f"before\n{stages.BEGIN}\nold\n{stages.END}\nafter\n")
    stages.main(["--requests", "2", "--repeats", "1", "--write", str(page), "--json", str(file)])
    costs: dict[str, float] = json.loads(file.read_text())
    assert list(costs)[:4] == ["receive", "check", "spool", "decode"]
    assert min(costs["decode"], costs["insert"], costs["the store's own"]) > 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{stages.END}\nafter\n")
    assert "| decode |" in text
    assert "old" not in text


def test_the_questions_find_every_planted_incident_exactly(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert questions.main(["--spans", "9600", "--rounds", "1", "--samples", "2", "--json", str(file)]) == 0
    (run,) = json.loads(file.read_text())
    assert run["filled"]["span_count"] > 9600
    # Those that have no incident are no search: they show a trace, list the newest, add up everything.
    assert {each["question"] for each in run["judged"]} == {*QUESTIONS} - {"trace", "traces", "overview"}
    assert [each for each in run["judged"] if not each["expected"]] == []
    measured = {each["name"]: each for each in run["measured"]}
    assert min(measured["who"]["ours"]["p95_ms"], measured["who"]["peer"]["p95_ms"]) > 0
