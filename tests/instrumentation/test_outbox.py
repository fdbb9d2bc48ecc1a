"""Spans that wait on disk for their receiver: with real exporters, a real service, and processes that die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from tests.otlp_receiver import Receiver, receiver
from tests.running import environment, service, stored_span_ids
from whodid.instrumentation import selfcheck
from whodid.instrumentation.encoded_spans import decode_spans
from whodid.instrumentation.outbox import MAX_REFUSALS, Outbox
from whodid.instrumentation.unsent import UNFINISHED_S, FolderFullError, Unsent

DYING = Path(__file__).parents[1] / "programs" / "dying.py"
ROOM = 1 << 20


def spans(*names: str) -> list[ReadableSpan]:
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "unsent"}))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    for name in names:
        provider.get_tracer("test").start_span(name).end()
    return list(kept.get_finished_spans())


@contextmanager
def outbox(sender: SpanExporter, folder: Path, max_bytes: int = ROOM) -> Generator[Outbox]:
    made = Outbox(sender, Unsent(folder, max_bytes))
    try:
        yield made
    finally:
        made.shutdown()


def names(folder: Path) -> list[str]:
    """Of the spans that wait."""
    requests = [
        ExportTraceServiceRequest.FromString(path.read_bytes()) for path in sorted(folder.glob("*.otlp"))
    ]
    return [
        span.name
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def nowhere() -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


class Choosy(SpanExporter):
    """Stands in for a receiver that is away, or refuses one span: no real one does so when it is told to."""

    def __init__(self) -> None:
        self.away = False
        self.taken: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.away or any(span.name == "poison" for span in spans):
            return SpanExportResult.FAILURE
        self.taken += [span.name for span in spans]
        return SpanExportResult.SUCCESS


def test_a_request_read_back_is_the_same_bytes() -> None:
    kept = InMemorySpanExporter()
    limits = SpanLimits(
        max_attributes=9, max_events=2, max_links=2, max_event_attributes=1, max_link_attributes=1
    )
    provider = TracerProvider(
        resource=Resource({"service.name": "s", "flag": True}, "https://schema.example/1"), span_limits=limits
    )
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("scope", "1.0", "https://schema.example/2", {"of": "scope"})
    remote = SpanContext(7, 8, True, TraceFlags(1), TraceState([("vendor", "a"), ("other", "b")]))
    around = trace.set_span_in_context(trace.NonRecordingSpan(remote))
    links = [Link(remote, {"a": 1, "b": 2}), Link(SpanContext(1, 2, False)), Link(remote)]
    with tracer.start_as_current_span("parent", around, SpanKind.SERVER, links=links) as span:
        values: dict[str, Any] = {
            "n": -1,
            "x": 0.5,
            "t": "ä",
            "none": [],
            "ls": ["a", "b"],
            "li": [1, 2],
            "lb": [True],
        }
        span.set_attributes({**{f"dropped{i}": i for i in range(5)}, **values, "yes": True, "raw": b"\0\xff"})
        for nth in range(3):
            span.add_event(f"e{nth}", {"a": 1.5, "b": "c"}, 1_700_000_000_000_000_000 + nth)
        with tracer.start_as_current_span("child", kind=SpanKind.PRODUCER) as child:
            child.set_status(Status(StatusCode.ERROR, "it broke"))
    other = provider.get_tracer("another").start_span("alone")
    other.set_status(StatusCode.OK)
    other.end()
    request = encode_spans(kept.get_finished_spans()).SerializeToString()
    dropped = ExportTraceServiceRequest.FromString(request).resource_spans[0].scope_spans[0].spans[1]
    assert (dropped.dropped_attributes_count, dropped.dropped_events_count, dropped.dropped_links_count) == (
        5,
        1,
        1,
    )
    assert encode_spans(decode_spans(request)).SerializeToString() == request


def test_what_is_exported_is_sent_and_leaves_the_folder(tmp_path: Path) -> None:
    with (
        receiver() as receiving,
        outbox(OTLPSpanExporter(receiving.endpoint, insecure=True), tmp_path) as box,
    ):
        assert box.export(spans("a", "b")) is SpanExportResult.SUCCESS
        assert box.force_flush(10_000)
        assert set(receiving.spans()) == {"a", "b"}
    assert names(tmp_path) == []


def test_it_is_on_disk_before_it_is_sent_and_an_export_waits_for_nobody(tmp_path: Path) -> None:
    with outbox(OTLPSpanExporter(nowhere(), insecure=True, timeout=1), tmp_path / "f") as box:
        assert box.export(spans("a")) is SpanExportResult.SUCCESS
        assert names(tmp_path / "f") == ["a"]
        assert not box.force_flush(10_000), "it was tried, and is not sent"
    assert names(tmp_path / "f") == ["a"]
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "f").iterdir()}
    assert ((tmp_path / "f").stat().st_mode & 0o777, modes) == (0o700, {0o600})


def test_what_another_process_left_is_sent_first(tmp_path: Path) -> None:
    Unsent(tmp_path, ROOM).keep(encode_spans(spans("left")).SerializeToString())
    sender = Choosy()
    with outbox(sender, tmp_path) as box:
        box.export(spans("new"))
        assert box.force_flush(10_000)
    assert (sender.taken, names(tmp_path)) == (["left", "new"], [])


def test_beyond_the_bound_it_says_so_once_and_loses_nothing_older(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sender = Choosy()
    sender.away = True
    size = len(encode_spans(spans("a")).SerializeToString())
    with outbox(sender, tmp_path, max_bytes=2 * size) as box:
        taken = [box.export(spans(name)) for name in "abcd"]
    assert taken == [SpanExportResult.SUCCESS] * 2 + [SpanExportResult.FAILURE] * 2
    assert names(tmp_path) == ["a", "b"]
    assert caplog.text.count("spans are lost") == 1
    with pytest.raises(FolderFullError):
        Unsent(tmp_path, size).keep(b"x")


def test_one_request_that_is_refused_does_not_hold_up_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("whodid.instrumentation.outbox.PAUSE_S", 0.01)
    sender = Choosy()
    with outbox(sender, tmp_path) as box:
        box.export(spans("poison"))
        for nth in range(MAX_REFUSALS + 2):
            box.export(spans(f"s{nth}"))
            box.force_flush(200)
    assert sender.taken == [f"s{nth}" for nth in range(MAX_REFUSALS + 2)]
    assert (names(tmp_path), len(list(tmp_path.glob("*.refused")))) == ([], 1)
    assert "is not sent again: it failed 3 times, and others were taken" in caplog.text


def test_what_is_no_request_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "00-1-0.otlp").write_bytes(b"\xff\xff garbage")
    sender = Choosy()
    with outbox(sender, tmp_path) as box:
        box.export(spans("a"))
        assert box.force_flush(10_000)
    assert (sender.taken, [path.name for path in tmp_path.glob("*.refused")]) == (["a"], ["00-1-0.refused"])
    assert "it is no request" in caplog.text


def test_only_one_process_sends_from_a_folder(tmp_path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from whodid.instrumentation.unsent import Unsent\n"
        "with Unsent(Path(sys.argv[1]), 1).alone() as alone:\n    print(alone, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", holder, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        sender = Choosy()
        with outbox(sender, tmp_path) as box:
            box.export(spans("a"))
            assert not box.force_flush(300)
            assert sender.taken == []
            other.kill()
            other.wait()
            assert box.force_flush(10_000), "its death ends that"
        assert sender.taken == ["a"]


def test_processes_that_end_at_once_share_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "unsent"
    with receiver() as receiving:
        given = environment(WHODID_UNSENT=str(folder), OTEL_EXPORTER_OTLP_ENDPOINT=receiving.endpoint)
        command = [sys.executable, str(DYING), "exit"]
        started = [subprocess.Popen(command, env=given, stderr=subprocess.PIPE, text=True) for _ in range(4)]
        said = [process.communicate(timeout=60)[1] for process in started]
    assert (names(folder), "".join(said)) == ([], "")
    # Without a policy there is no decision: two spans of each.
    assert sum(len(scope.spans) for scope in scopes(receiving)) == 8


def scopes(receiving: Receiver) -> list[Any]:
    return [
        scope
        for request in receiving.requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
    ]


def test_what_was_being_written_when_a_process_died_is_cleared_away(tmp_path: Path) -> None:
    Unsent(tmp_path, ROOM)
    for name, age_s in ((".0001-1-0", UNFINISHED_S + 1), (".0002-1-0", 1)):
        (tmp_path / name).write_bytes(b"half a request")
        at = time.time() - age_s
        os.utime(tmp_path / name, (at, at))
    Unsent(tmp_path, ROOM)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".0002-1-0", ".lock"]


def test_doctor_tells_what_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHODID_UNSENT", str(tmp_path))
    told = {each.check: each for each in selfcheck.environment()}["unsent"]
    assert (told.level, told.detail) == (selfcheck.Level.OK, f"no request waits in {tmp_path}")
    (tmp_path / "1-1-0.otlp").touch()
    told = {each.check: each for each in selfcheck.environment()}["unsent"]
    assert (told.level, told.detail) == (
        selfcheck.Level.WARNING,
        f"1 requests wait in {tmp_path}, and 0 were refused",
    )


def test_a_folder_that_cannot_be_made_is_a_problem_of_the_report(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    program = "from whodid.instrumentation import init; print(init(report=False).problems)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(WHODID_UNSENT=str(tmp_path / "file" / "x"), OTEL_EXPORTER_OTLP_ENDPOINT=nowhere()),
    )
    assert "WHODID_UNSENT: " in done.stdout, done
    assert "cannot be written to (Not a directory)" in done.stdout


def test_a_flush_says_that_spans_wait(tmp_path: Path) -> None:
    program = (
        "from whodid.instrumentation import flush, init\nfrom opentelemetry import trace\n"
        "init(report=False)\ntrace.get_tracer('host').start_span('x').end(); print(flush(1))"
    )
    with receiver() as receiving:
        for endpoint, sent in ((receiving.endpoint, "True"), (nowhere(), "False")):
            given = environment(WHODID_UNSENT=str(tmp_path), OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
            command = [sys.executable, "-c", program]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=given)
            assert done.stdout.strip() == sent, done.stderr
    assert names(tmp_path) == ["x"]


def run_dying(how: str, folder: Path, endpoint: str, **more: str) -> subprocess.CompletedProcess[str]:
    policy = folder.parent / "policy.cedar"
    policy.write_text("permit (principal, action, resource);")
    given = environment(
        WHODID_POLICY=str(policy), WHODID_UNSENT=str(folder), OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **more
    )
    return subprocess.run(
        [sys.executable, str(DYING), how], capture_output=True, text=True, timeout=60, env=given
    )


def test_with_the_receiver_away_a_killed_process_has_left_its_decision(tmp_path: Path) -> None:
    folder = tmp_path / "unsent"
    assert run_dying("kill", folder, nowhere()).returncode == -signal.SIGKILL
    assert names(folder) == ["evaluate_policy refund"]


@pytest.mark.parametrize("how", ["exit", "terminate"])
def test_with_the_receiver_away_an_ended_process_has_left_everything(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "unsent"
    done = run_dying(how, folder, nowhere())
    assert sorted(names(folder)) == ["evaluate_policy refund", "execute_tool refund", "invoke_agent support"]
    assert f"the receiver did not answer: spans wait in {folder}" in done.stderr
    assert "spans are lost" not in done.stderr


def test_with_the_receiver_there_a_short_process_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "unsent"
    with receiver() as receiving:
        run_dying("exit", folder, receiving.endpoint)
        assert len(receiving.spans()) == 3
    assert names(folder) == []


def test_a_service_that_comes_later_gets_each_span_once(tmp_path: Path) -> None:
    folder = tmp_path / "unsent"
    for _ in range(3):
        run_dying("exit", folder, nowhere())
    assert len(names(folder)) == 9
    with service(tmp_path / "data") as running:
        run_dying("exit", folder, f"http://{running.grpc}")
        assert names(folder) == []
        running.wait_until_stored()
        running.stop()
    counted = stored_span_ids(f"chdb:///{tmp_path}/data/store")
    assert sorted(counted.values()) == [1] * 12


def test_a_receiver_that_comes_and_goes_gets_all(tmp_path: Path) -> None:
    address = nowhere()
    with outbox(OTLPSpanExporter(address, insecure=True, timeout=1), tmp_path) as box:
        stop = threading.Event()
        sent: list[str] = []

        def work() -> None:
            while not stop.wait(0.02):
                sent.append(f"s{len(sent)}")
                assert box.export(spans(sent[-1])) is SpanExportResult.SUCCESS

        worker = threading.Thread(target=work)
        worker.start()
        got: list[Receiver] = []
        for _ in range(3):
            with receiver(address) as receiving:
                got.append(receiving)
                stop.wait(0.5)
        stop.set()
        worker.join()
        with receiver(address) as receiving:
            got.append(receiving)
            while not box.force_flush(10_000):
                pass
    requests = {request.SerializeToString() for each in got for request in each.requests}
    assert len(requests) == len(sent), "an answer that was lost may send a request twice, never another one"
