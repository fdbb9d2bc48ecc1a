"""What a real service says about its findings: while it runs, and when it stops."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.running import Running, service
from tests.spans import Sent, request
from whodid.semconv import attributes as attr

BARE = {attr.GEN_AI_OPERATION_NAME: "execute_tool"}
MISTYPED = {attr.GEN_AI_AGENT_NAME: 7}


def post(running: Running, *spans: Sent) -> None:
    answer = httpx.post(
        running.http, content=request(*spans), headers={"content-type": "application/x-protobuf"}
    )
    assert answer.status_code == 200


def test_findings_are_counted_by_rule(tmp_path: Path) -> None:
    with service(tmp_path / "data") as running:
        post(running, Sent(attributes={**MISTYPED}), Sent(attributes={**MISTYPED}), Sent())
        running.wait_until_stored()
        first = running.health()["findings"]
        assert first["type_mismatch"] == 2
        post(running, Sent(attributes={**BARE, **MISTYPED}))
        assert running.stop() == 0  # what is stored while it stops counts too
        last = running.said.splitlines()[-1]
    name, _, counts = last.partition(": ")
    assert name == "findings"
    found = {rule: int(count) for rule, count in (each.split() for each in counts.split(", "))}
    assert found["type_mismatch"] == 3
    assert found["missing_required"] > 5
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_what_a_killed_run_left_counts_in_the_next(tmp_path: Path) -> None:
    with service(tmp_path / "data", WHODID_SPOOL__FLUSH_AFTER_S="600") as running:
        post(running, Sent(attributes={**MISTYPED}))
        running.process.kill()
        running.process.wait()
    with service(tmp_path / "data") as running:
        running.wait_until_stored()
        assert running.health()["findings"] == {"type_mismatch": 1}
        assert running.stop() == 0
        assert running.said.endswith("findings: type_mismatch 1\n")


def test_nothing_was_found(tmp_path: Path) -> None:
    with service(tmp_path / "data") as running:
        post(running, Sent())
        assert running.stop() == 0
        assert running.said.endswith("findings: none\n")
