"""`whodid doctor`, run as an agent's process would be, against a real service and against what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.otlp_receiver import receiver
from tests.running import environment, service
from whodid.cli import doctor
from whodid.instrumentation import selfcheck

SECRET = "hunter2-hunter2"


def examine(*flags: str, **variables: str) -> tuple[int, dict[str, dict[str, Any]], str]:
    """The exit code, the worst finding of each check, and everything that was printed."""
    done = subprocess.run(
        [sys.executable, "-m", "whodid.cli.main", "doctor", "--json", *flags],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(**variables),
    )
    order = ["ok", "warning", "failed"]
    found: dict[str, dict[str, Any]] = {}
    for each in json.loads(done.stdout):
        known = found.get(each["check"])
        if known is None or order.index(each["level"]) > order.index(known["level"]):
            found[each["check"]] = each
    return done.returncode, found, done.stdout + done.stderr


def test_a_span_is_followed_to_the_store(tmp_path: Path) -> None:
    with service(tmp_path / "data") as running:
        variables = running.exporter_variables
        code, found, _ = examine("--api", running.api, **variables)
        # The frameworks that are installed are more than those with adapters, which is a warning.
        assert [name for name, each in found.items() if each["level"] == "failed"] == []
        assert code == 0
        for name in ("receiver", "service", "clock", "store", "sampler", "endpoint", "sdk"):
            assert found[name]["level"] == "ok", found[name]
        trace_id = found["receiver"]["detail"].partition("trace ")[2].rstrip(")")
        lines = running.ask(f"trace?trace_id={trace_id}")["lines"]
        assert [(line["name"], line["principal"], line["operation"]) for line in lines] == [
            ("whodid doctor", "whodid-doctor", None)
        ]
        assert running.ask("unattributed?since=1h")["items"] == []


def test_a_receiver_that_takes_it_and_a_store_that_never_gets_it(tmp_path: Path) -> None:
    with service(tmp_path / "data") as running, receiver() as elsewhere:
        code, found, _ = examine(
            "--api", running.api, "--wait-s", "0.5", OTEL_EXPORTER_OTLP_ENDPOINT=elsewhere.endpoint
        )
    assert code == 1
    assert found["receiver"]["level"] == "ok"
    assert found["store"]["level"] == "failed"
    assert "collector" in found["store"]["hint"]


def test_what_is_wrong_is_said_with_what_to_do_and_without_secrets() -> None:
    code, found, printed = examine(
        "--api",
        "http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization={SECRET},{SECRET}",
        OTEL_TRACES_SAMPLER="traceidratio",
        OTEL_TRACES_SAMPLER_ARG="0.1",
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="16",
        WHODID_GUARD_MODE="off",
        WHODID_REQUIRE="mcp",
    )
    assert code == 1
    failed = {name for name, each in found.items() if each["level"] == "failed"}
    assert failed == {"settings", "sdk", "sampler", "endpoint", "headers", "receiver", "service"}
    assert all(found[name]["hint"] for name in failed)
    assert "drops" in found["sampler"]["detail"]
    assert "OTEL_TRACES_SAMPLER" in found["sampler"]["hint"]
    assert SECRET not in printed


def test_a_clock_that_is_off() -> None:
    now_s = 1_700_000_000.0
    date = "Tue, 14 Nov 2023 22:14:20 GMT"  # a minute later
    found = doctor._clock(now_s, date)  # pyright: ignore[reportPrivateUsage]
    assert found is not None
    assert found.level is selfcheck.Level.FAILED


@pytest.mark.parametrize(
    ("variables", "level", "word"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "pigeon"}, "failed", "not known"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, "warning", "other protocol"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://192.0.2.1:1"}, "warning", "in the clear"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "nothing"}, "failed", "names no host"),
    ],
)
def test_the_endpoint(
    variables: dict[str, str], level: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selfcheck, "CONNECT_TIMEOUT_S", 0.2)
    found = selfcheck.endpoint(variables)
    assert [each.level for each in found if word in each.detail] == [level], found
