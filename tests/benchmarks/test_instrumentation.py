"""The benchmark of the instrumentation still works; no figure is judged."""

from __future__ import annotations

import json
from pathlib import Path

from tests.benchmarks import instrumentation


def test_side_by_side(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    assert instrumentation.main(["--runs", "2", "--rounds", "1", "--json", str(file)]) == 0
    figures = json.loads(file.read_text())
    for framework, least in (("langgraph", 2), ("openai_agents", 2)):
        spans = {subject: each["spans"] for subject, each in figures["run"][framework].items()}
        assert (spans["nothing"], spans["whodid"]) == (0, 2)
        assert spans["openinference"] >= least
    assert set(figures["import"]) == set(instrumentation.IMPORTS)
