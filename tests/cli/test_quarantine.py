"""`whodid quarantine`: what is there is listed, shown without secrets, and goes back while a service runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.spans import Sent, request
from whodid.cli.main import main
from whodid.processor import segment
from whodid.processor.quarantine import Quarantine
from whodid.processor.segment import Corrupt
from whodid.processor.spool import FORWARD, STORE, Spool

SECRET = "AKIAIOSFODNN7EXAMPLE"


def whodid(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["quarantine", *arguments, "--data-dir", str(folder)])


@pytest.fixture
def kept(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "quarantine", max_files=10, max_bytes=10_000)


def test_what_is_there_is_listed(tmp_path: Path, kept: Quarantine) -> None:
    kept.keep_request(b"garbage", f"no OTLP \x1b[2J {SECRET}")
    assert kept.keep_acknowledged("1-a", [request(Sent())], "no such column")
    assert kept.keep_acknowledged("1-a", [request(Sent())], "refused by the endpoint", FORWARD)
    assert kept.keep_corrupt("1-b", Corrupt(12, b"xyz"))
    listed = whodid(tmp_path, "list")
    assert listed.exit_code == 0
    lines = [line.split("\t") for line in listed.stdout.splitlines()]
    assert [line[0] for line in lines] == ["requests", "segments", "forward", "corrupt"]
    assert [line[3] for line in lines[1:]] == ["1-a", "1-a-forward", "1-b-at-12"]
    assert "\x1b" not in listed.output
    assert SECRET not in listed.output
    assert listed.stderr.startswith("4 in quarantine")
    assert len(whodid(tmp_path, "list", "--limit", "2").stdout.splitlines()) == 2


def test_its_spans_are_shown_without_secrets(tmp_path: Path, kept: Quarantine) -> None:
    span = Sent(name=f"read {SECRET}\x1b[2J", attributes={"password": "hunter2"})
    assert kept.keep_acknowledged("1-a", [request(span), b"\xff"], "no such column")
    shown = whodid(tmp_path, "show", "1-a")
    assert shown.exit_code == 0
    assert "no such column" in shown.stdout
    assert f"{span.trace_id.hex()}\t{span.span_id.hex()}\tread [redacted]\\x1b[2J" in shown.stdout
    assert "1 bytes that are no OTLP request" in shown.stdout
    assert SECRET not in shown.output
    assert "hunter2" not in shown.output


def test_a_segment_goes_back_into_a_running_spool(tmp_path: Path, kept: Quarantine) -> None:
    spool = Spool(
        tmp_path / "spool",
        kept,
        max_bytes=10_000,
        flush_after_s=60,
        flush_after_bytes=5000,
        cursors=(STORE, FORWARD),
    )
    body = request(Sent())
    assert kept.keep_acknowledged("1-a", [body], "no such column")
    assert kept.keep_acknowledged("1-b", [body], "refused", FORWARD)
    done = whodid(tmp_path, "retry", "--all")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "2 of 2" in done.stderr
    taken = spool.take(5.0, cursor=STORE)
    assert taken is not None
    assert (taken.id, taken.requests()) == ("1-a", [body])
    spool.done(taken, cursor=STORE)
    assert spool.take(0.1, cursor=STORE) is None  # the store has the other one
    forwarded: list[str] = []
    while (taken := spool.take(0.1, cursor=FORWARD)) is not None:
        forwarded.append(taken.id)
        spool.done(taken, cursor=FORWARD)
    assert sorted(forwarded) == ["1-a", "1-b-forward"]
    assert whodid(tmp_path, "list").stdout == ""
    assert list((tmp_path / "quarantine" / "returned").iterdir()) == []
    spool.close()


def test_what_was_never_acknowledged_does_not_go_back(tmp_path: Path, kept: Quarantine) -> None:
    kept.keep_request(b"garbage", "no OTLP")
    (name,) = (path.stem for path in (tmp_path / "quarantine" / "requests").glob("*.request"))
    refused = whodid(tmp_path, "retry", name)
    assert refused.exit_code == 1
    assert "its sender was told so" in refused.stderr
    assert "\nhint: " in refused.stderr
    assert whodid(tmp_path, "retry", "--all").exit_code == 0


@pytest.mark.parametrize("arguments", [("retry",), ("retry", "x", "--all")])
def test_a_mistake_in_the_command_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert whodid(tmp_path, *arguments).exit_code == 2


def test_a_name_that_is_not_there(tmp_path: Path, kept: Quarantine) -> None:
    assert "nothing in quarantine is called 'x'" in whodid(tmp_path, "show", "x").stderr
    assert "there is no data folder" in whodid(tmp_path / "other", "list").stderr
    for name in ("1-a", "1-b"):
        assert kept.keep_acknowledged(name, [b""], "reason")
    assert "2 entries begin with '1-'" in whodid(tmp_path, "show", "1-").stderr


def test_without_a_service_the_next_start_takes_it_in(tmp_path: Path, kept: Quarantine) -> None:
    body = request(Sent())
    assert kept.keep_acknowledged(segment.new_id(), [body], "no such column")
    done = whodid(tmp_path, "retry", "--all")
    assert "the next `whodid up` takes them in" in done.stderr
    spool = Spool(tmp_path / "spool", kept, max_bytes=10_000, flush_after_s=60, flush_after_bytes=5000)
    taken = spool.take(1.0)
    assert taken is not None
    assert taken.requests() == [body]
    asyncio.run(spool.append(body))
    spool.close()
