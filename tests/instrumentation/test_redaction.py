"""No secret leaves the process: planted ones are looked for in all that is sent, and in the whole store."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.otlp_receiver import receiver
from tests.running import environment, service
from whodid.instrumentation import redaction

PROGRAM = Path(__file__).parents[1] / "programs" / "secretive.py"
KEPT = "order 20260101123456789"
# All made up, in the forms of real ones; put together here so that no scanner takes them for real.
SECRETS = {
    "key": "sk-" + "proj-Zq1Zq1Zq1Zq1Zq1Zq1",
    "aws": "AKIA" + "ZQZQZQZQZQZQZQZQ",
    "github": "ghp_" + "Zq1" * 13,
    "slack": "xoxb-" + "1234567890-Zq1Zq1",
    "google": "AIza" + "Zq123" * 7,
    "stripe": "sk_live_" + "Zq1Zq1Zq1Zq1Zq1Zq1",
    "token": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiJxIn0xx.c2lnbmF0dXJl",
    "pem": "-----BEGIN PRIVATE KEY-----\nMIIEZq1Zq1\n-----END PRIVATE KEY-----",
    "email": "carol.zq@acme.example",
    "card": "4111 1111 1111 1111",
    "url": "postgres://app:hunterzq2@db.acme.example/x",
    "header": "Bearer Zq1Zq1Zq1Zq1zq",
}
PASSWORD = "correct horse zq battery"
"""It has no form, and is known by the names that it is given under."""
NEEDLES = [
    *(text for name, text in SECRETS.items() if name not in ("pem", "url", "header")),
    *("MIIEZq1Zq1", "hunterzq2", "Zq1Zq1Zq1Zq1zq", PASSWORD, "horse zq"),
]


def run(capture: str, **variables: str) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "http://127.0.0.1:9"],
        input=json.dumps([SECRETS, PASSWORD, KEPT]),
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(WHODID_CAPTURE_CONTENT=capture, **variables),
    )
    assert (done.returncode, done.stderr) == (0, "")


def found_in(text: str) -> list[str]:
    """What of the secrets is in it, as it is or as JSON writes it."""
    return [each for each in NEEDLES if each in text or json.dumps(each)[1:-1] in text]


@pytest.mark.parametrize("capture", ["0", "1"])
def test_no_secret_leaves_the_process(capture: str) -> None:
    with receiver() as receiving:
        run(capture, OTEL_EXPORTER_OTLP_ENDPOINT=receiving.endpoint)
        said = receiving.wait_for("execute_tool charge")
        sent = b"".join(request.SerializeToString() for request in receiving.requests).decode(
            errors="replace"
        )
    assert found_in(sent) == []
    assert (KEPT in sent) is (capture == "1")
    assert ("gen_ai.tool.call.arguments" in said) is (capture == "1")
    assert said["attribution.credential.id"].startswith("sha256:")


_EVERYTHING = """
import sys
from whodid.store.connection import Location, connect
client = connect(Location.parse(sys.argv[1]))
tables = client.query("SELECT name FROM system.tables WHERE database = 'whodid' AND engine NOT LIKE '%View'")
for (table,) in tables.result_rows:
    for row in client.query(f"SELECT * FROM whodid.{table}").result_rows:
        print(table, row)
"""


def test_no_secret_is_in_the_whole_store(tmp_path: Path) -> None:
    with service(tmp_path / "data") as running:
        for capture in ("0", "1"):
            run(capture, **running.exporter_variables)
        running.wait_until_stored()
        log = running.said
        assert running.stop() == 0
    # In a process of its own, for an engine has one path a process.
    done = subprocess.run(
        [sys.executable, "-c", _EVERYTHING, f"chdb://{tmp_path / 'data' / 'store'}"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("execute_tool charge") >= 2
    assert KEPT in done.stdout
    assert found_in(done.stdout) == []
    assert found_in(log) == []
    for file in (tmp_path / "data").rglob("*"):
        if file.is_file():
            assert found_in(file.read_bytes().decode(errors="replace")) == [], file


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("pay with 4111-1111-1111-1111 now", "pay with [redacted] now"),
        ("order 4111111111111112 stays", "order 4111111111111112 stays"),
        ("0000000000000000", "0000000000000000"),
        ('{"amount":12.5,"id":"a-1"}', '{"amount":12.5,"id":"a-1"}'),
        ('{"password":"a b\'c"}', '{"password":"[redacted]\'c"}'),
        ("DB_PASSWORD=x1 USER=app", "DB_PASSWORD=[redacted] USER=app"),
        ("?access_token=abc&page=2", "?access_token=[redacted]&page=2"),
        ("tokens: 17 of 20", "tokens: [redacted] of 20"),
        ("Authorization: Bearer abcdefgh1", "Authorization: [redacted] [redacted]"),
        ("write to a.b+c@d.example.org.", "write to [redacted]."),
        ("https://user:pw@host/path", "https://[redacted]@host/path"),
        ("x@y is no address", "x@y is no address"),
    ],
)
def test_forms(text: str, without: str) -> None:
    assert redaction.redact(text) == without


def test_it_can_be_extended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_added", [])
    redaction.add(r"EMP-\d{4}")
    assert redaction.redact("by EMP-0815 today") == "by [redacted] today"

    def broken(text: str) -> str:
        raise LookupError(text)

    redaction.add(broken)
    assert redaction.redact("anything") == "[redacted]"


@pytest.mark.parametrize(
    "unit", ["a", "1", "@", "a@", "password", "a.", "sk-", "eyJ.", "://", "1 ", '\\"', " = "]
)
def test_no_text_takes_it_long(unit: str) -> None:
    """Each pattern is bounded: one that backtracks would run into pytest's own limit."""
    text = unit * (65_536 // len(unit))
    assert len(redaction.redact(text)) > 0
