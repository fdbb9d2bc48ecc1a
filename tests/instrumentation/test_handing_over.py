"""Context that does not get lost, and does not leak: threads, pools, loops, processes, programs, queues."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.adapters import for_user
from tests.otlp_receiver import receiver
from tests.running import environment
from whodid.instrumentation import carriers, current, peers, settings, workers
from whodid.instrumentation.context import NOTHING_KNOWN

PROGRAM = Path(__file__).parents[1] / "programs" / "handing_over.py"
NO_TRACE = "0" * 32


def run(**variables: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(PROGRAM)],
        capture_output=True,
        text=True,
        timeout=150,
        env=environment(PYTHONPATH=str(PROGRAM.parents[2]), **variables),
    )
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_everybodys_work_is_their_own_wherever_it_is_handed_to() -> None:
    with receiver() as receiving:
        answer = run(OTEL_EXPORTER_OTLP_ENDPOINT=receiving.endpoint)
        spans = receiving.spans()
    traces: set[str] = set()
    for user, found in answer["users"].items():
        own = found["own"]
        assert own[0] == user
        traces.add(own[1])
        for place in ("thread", "map", "pool", "process", "queue"):
            assert found[place] == own, place
        assert found["program"] == [*own, []], "and it is out of the environment, for its own children"
        assert found["async"] == [own] * 4
        assert found["empty message"] == [None, NO_TRACE]
        assert spans[f"child of {user}"]["attribution.principal.id"] == user
    assert len(traces) == len(answer["users"])
    assert answer["nobody"] == [[None, NO_TRACE]] * 2


def test_other_processes_are_not_told_where_the_list_has_not_this_machine() -> None:
    answer = run(WHODID_EXPORT="0", WHODID_SEND_TO="orders.acme.example")
    for user, found in answer["users"].items():
        assert found["thread"][0] == user, "a thread is no hop"
        for place in ("pool", "process", "program"):
            assert found[place][0] is None, place


def test_a_child_that_does_not_accept_its_starters_word(monkeypatch: pytest.MonkeyPatch) -> None:
    with for_user("alice"):
        environ: dict[str, str] = {"BAGGAGE": "attribution.principal.id=mallory", "PATH": "/bin"}
        carriers.leave_in(environ)
    assert "alice" in environ["BAGGAGE"]
    assert "mallory" not in environ["BAGGAGE"]
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings.override(accept_from=("none",))
    assert not peers.accepts_from(peers.THIS_MACHINE)
    carriers.take_up_environment()
    assert current() is NOTHING_KNOWN


def test_a_threads_target() -> None:
    seen: list[str | None] = []

    def look() -> None:
        seen.append(current().principal_id)

    with for_user("alice"):
        for target in (carriers.carried(look), look):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    assert seen == ["alice", None]


def test_an_environment_that_the_host_set_stays() -> None:
    hooks = workers.Workers()
    hooks.install()
    try:
        program = "import os; print(os.environ.get('BAGGAGE'), 'PATH' in os.environ)"
        with for_user("alice"):
            done = subprocess.check_output(
                [sys.executable, "-c", program], env={"BAGGAGE": "mine", "PATH": "x"}, text=True
            )
            assert done == "mine True\n"
            bare = subprocess.check_output([sys.executable, "-c", program], env={}, text=True)
        assert "attribution.principal.id=alice" in bare
        assert bare.endswith("False\n")
        assert subprocess.check_output([sys.executable, "-c", program], text=True) == "None True\n"
    finally:
        hooks.uninstrument()
    assert hooks.problems == []
