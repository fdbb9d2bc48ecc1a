"""What is known of an action whose process dies in the middle of it."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.otlp_receiver import receiver
from tests.running import environment
from whodid.instrumentation import ending

PROGRAM = Path(__file__).parents[1] / "programs" / "dying.py"


def die(how: str, tmp_path: Path, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
    policy = tmp_path / "policy.cedar"
    policy.write_text("permit (principal, action, resource);")
    with receiver() as receiving:
        done = subprocess.run(
            [sys.executable, str(PROGRAM), how],
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(
                WHODID_POLICY=str(policy), OTEL_EXPORTER_OTLP_ENDPOINT=receiving.endpoint, **variables
            ),
        )
        return done.returncode, receiving.spans()


def test_a_kill_leaves_the_decision(tmp_path: Path) -> None:
    code, spans = die("kill", tmp_path)
    assert code == -signal.SIGKILL
    assert set(spans) == {"evaluate_policy refund"}
    decision = spans["evaluate_policy refund"]
    assert decision["attribution.principal.id"] == "alice"
    assert decision["attribution.policy.enforcement.action"] == "allowed"
    _, spans = die("kill", tmp_path, WHODID_FLUSH_DECISIONS="0")
    assert spans == {}


@pytest.mark.parametrize(("how", "code"), [("terminate", -signal.SIGTERM), ("exit", 0)])
def test_what_is_at_work_when_the_process_ends_says_so(tmp_path: Path, how: str, code: int) -> None:
    ended, spans = die(how, tmp_path)
    assert ended == code
    assert set(spans) == {"evaluate_policy refund", "execute_tool refund", "invoke_agent support"}
    for name in ("execute_tool refund", "invoke_agent support"):
        assert spans[name]["error.type"] == "process_ended"
    assert (
        spans["execute_tool refund"]["attribution.action.id"]
        == (spans["evaluate_policy refund"]["attribution.action.id"])
    )


def test_nobody_waits_again_and_again_for_a_receiver_that_is_away(caplog: pytest.LogCaptureFixture) -> None:
    waiting, asked, never = ending.Waiting(), list[int](), threading.Event()

    def work() -> None:
        asked.append(1)
        never.wait(10)

    with caplog.at_level(logging.WARNING):
        assert [waiting.flush(work, 0.01) for _ in range(3)] == [False] * 3
    never.set()
    assert (len(asked), len(caplog.records)) == (1, 1)
