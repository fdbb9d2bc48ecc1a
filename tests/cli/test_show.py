"""What a span says is text on a terminal and nothing else."""

from __future__ import annotations

import pytest

from whodid.cli import show
from whodid.semconv.values import EvidenceLevel
from whodid.store.records import Answer, TraceLine, TraceRecord


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("delete_customer", "delete_customer"),
        ("\x1b[2J\x1b]0;owned\x07", "\\x1b[2J\\x1b]0;owned\\x07"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("Grüße 東京", "Grüße 東京"),
    ],
)
def test_what_could_steer_a_terminal_is_made_visible(text: str, shown: str) -> None:
    assert show.plain(text) == shown


def test_a_trace_with_hostile_names(capsys: pytest.CaptureFixture[str]) -> None:
    line = TraceLine(
        span_id="a" * 16,
        parent_span_id="b" * 16,
        depth=1,
        name="[red]\x1b[31mexecute_tool[/red]",
        operation="execute_tool",
        service="s",
        agent="agent\x1b[0m",
        principal=None,
        chain=[],
        action_id=None,
        mode=None,
        decision="deny",
        enforcement="blocked",
        status="UNSET",
        error_type=None,
        started_at="2026-01-01T00:00:00Z",
        duration_ms=1.0,
        parent_missing=True,
        findings=2,
    )
    show.trace(TraceRecord(trace_id="c" * 32, lines=[line], truncated=True))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "[red]\\x1b[31mexecute_tool[/red]" in printed  # no markup either
    assert "(parent missing)" in printed
    assert "agent\\x1b[0m for —" in printed
    assert "more spans than an answer holds" in printed


def test_what_is_missing_is_shown_as_missing() -> None:
    answer = Answer(value=None, evidence=EvidenceLevel.MISSING, spans=[])
    assert show._value(answer) == "—"  # pyright: ignore[reportPrivateUsage]
