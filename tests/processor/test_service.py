"""The service as its users see it: a real process, real exporters, a real store, and real kills."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2

from tests.clickhouse import ClickHouse
from tests.running import Running, environment, service, stored_span_ids
from tests.spans import Sent, garbage, request
from whodid.processor import segment

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PROTOBUF = {"content-type": "application/x-protobuf"}


def embedded(data_dir: Path) -> str:
    return f"chdb://{data_dir / 'store'}"


def post(running: Running, body: bytes) -> httpx.Response:
    return httpx.post(running.http, content=body, headers=PROTOBUF, timeout=30)


def send(running: Running, count: int = 1) -> list[str]:
    """Sends spans one a request; the ids of those that were acknowledged."""
    ids: list[str] = []
    for _ in range(count):
        span = Sent()
        if post(running, request(span)).status_code == 200:
            ids.append(span.span_id.hex())
    return ids


def fails_to_start(*flags: str, **variables: str) -> str:
    """What `whodid up` says when it cannot start."""
    done = subprocess.run(
        [sys.executable, "-m", "whodid.cli.main", "up", *flags],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(**variables),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 3, done.stderr  # the error, an empty line, the hint
    assert re.search(r"^error: .+\n\nhint: .+\n$", done.stderr), done.stderr
    return done.stderr


FREE = ("--grpc-port", "0", "--http-port", "0", "--api-port", "0")

_EXPORT = """
import sys
import grpc
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
which, endpoint, compressed = sys.argv[1], sys.argv[2], sys.argv[3] == "gzip"
if which == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    compression = grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=True, compression=compression)
else:
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    exporter = OTLPSpanExporter(
        endpoint=endpoint, compression=Compression.Gzip if compressed else Compression.NoCompression
    )
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
with provider.get_tracer("test").start_as_current_span("made") as span:
    print(f"{span.get_span_context().span_id:016x}")
provider.shutdown()
"""


def export(which: str, endpoint: str, compression: str) -> str:
    """One span through the SDK's own exporter, in a process of its own; its id."""
    done = subprocess.run(
        [sys.executable, "-c", _EXPORT, which, endpoint, compression],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_the_real_exporters(data_dir: Path) -> None:
    with service(data_dir) as running:
        sent = [
            export(which, endpoint, compression)
            for which, endpoint in (("grpc", running.grpc), ("http", running.http))
            for compression in ("gzip", "none")
        ]
        assert running.stop() == 0
    stored = stored_span_ids(embedded(data_dir))
    assert [stored[each] for each in sent] == [1, 1, 1, 1]


class TestStart:
    def test_it_says_where_everything_is(self, data_dir: Path) -> None:
        with service(data_dir, "--retention-days", "7") as running:
            announced = json.loads((data_dir / "service.json").read_text())
            assert announced == {
                "api": running.api,
                "otlp_grpc": f"http://{running.grpc}",
                "pid": running.process.pid,
            }
            assert str(data_dir / "store") in running.said
            assert "keeps 7 days" in running.said
            assert str(data_dir / "spool") in running.said
            assert "warning" not in running.said
            assert running.health() == {"store": "ok", "spool_bytes": 0, "findings": {}}
            running.stop()
            assert not (data_dir / "service.json").exists()

    def test_it_warns_when_others_can_reach_it(self, data_dir: Path) -> None:
        with service(data_dir, "--host", "0.0.0.0") as running:
            assert "warning: receiver.host is 0.0.0.0: there is no authentication yet" in running.said

    def test_the_api_answers_to_no_other_name(self, data_dir: Path) -> None:
        """A page from elsewhere could point a name of its own at this machine, and read the store."""
        with service(data_dir) as running:
            answer = httpx.get(f"{running.api}/healthz", headers={"host": "evil.example"})
            assert answer.status_code == 400

    @pytest.mark.parametrize("flag", ["--grpc-port", "--http-port", "--api-port"])
    def test_a_port_in_use(self, data_dir: Path, flag: str) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            said = fails_to_start("--data-dir", str(data_dir), *FREE, flag, str(port))
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in said
        assert flag in said

    def test_an_address_that_is_not_ours(self, data_dir: Path) -> None:
        assert "192.0.2.1" in fails_to_start("--data-dir", str(data_dir), *FREE, "--host", "192.0.2.1")

    def test_a_folder_that_another_process_holds(self, data_dir: Path) -> None:
        with service(data_dir) as running:
            said = fails_to_start("--data-dir", str(data_dir), *FREE)
            assert f"in use by another whodid (pid {running.process.pid})" in said
            assert "--data-dir" in said

    def test_a_folder_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        assert "cannot be used" in fails_to_start("--data-dir", str(tmp_path / "file" / "below"), *FREE)

    def test_a_store_that_cannot_be_reached(self, data_dir: Path) -> None:
        url = "clickhouse://someone:s3cret@127.0.0.1:1/whodid"
        said = fails_to_start("--data-dir", str(data_dir), *FREE, WHODID_STORE__URL=url)
        assert "127.0.0.1:1" in said
        assert "WHODID_STORE__URL" in said
        assert "s3cret" not in said

    def test_a_setting_that_makes_no_sense(self) -> None:
        assert "receiver.grpc_port" in fails_to_start("--grpc-port", "70000")


class TestStop:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_stores_what_was_acknowledged(self, data_dir: Path, number: int) -> None:
        with service(data_dir, WHODID_SPOOL__FLUSH_AFTER_S="3600") as running:
            ids = send(running, 20)
            assert running.health()["spool_bytes"] > 0
            assert running.stop(number) == 0
            assert "everything that was acknowledged is stored" in running.said
        assert stored_span_ids(embedded(data_dir)) == dict.fromkeys(ids, 1)
        assert list((data_dir / "spool").iterdir()) == []

    def test_a_second_signal_ends_it_at_once(self, data_dir: Path, server: ClickHouse) -> None:
        flags = {"WHODID_STORE__URL": server.url, "WHODID_SPOOL__DRAIN_TIMEOUT_S": "600"}
        with service(data_dir, **flags) as running:
            server.stop()
            send(running)
            running.process.send_signal(signal.SIGTERM)
            time.sleep(1)
            assert running.process.poll() is None
            started_s = time.monotonic()
            assert running.stop() == 128 + signal.SIGTERM
            assert time.monotonic() - started_s < 2

    def test_what_cannot_be_stored_in_time_waits_for_the_next_start(
        self, data_dir: Path, server: ClickHouse
    ) -> None:
        with service(data_dir, WHODID_STORE__URL=server.url, WHODID_SPOOL__DRAIN_TIMEOUT_S="1") as running:
            server.stop()
            ids = send(running, 3)
            assert running.stop() == 0
            assert "stay in the spool" in running.said
        server.start()
        with service(data_dir, WHODID_STORE__URL=server.url) as running:
            running.wait_until_stored()
        assert stored_span_ids(server.url) == dict.fromkeys(ids, 1)


class TestDurability:
    def test_kill_9_loses_nothing_and_doubles_nothing(self, data_dir: Path) -> None:
        acknowledged: list[str] = []
        for round_number in range(3):
            with service(data_dir, WHODID_SPOOL__FLUSH_AFTER_S="0.2") as running:
                acknowledged += _send_until_killed(running, after_s=0.6 + 0.3 * round_number)
        with service(data_dir) as running:
            running.wait_until_stored()
            assert running.stop() == 0
        assert len(acknowledged) > 100
        stored = stored_span_ids(embedded(data_dir))
        assert {name: stored[name] for name in acknowledged} == dict.fromkeys(acknowledged, 1)
        assert max(stored.values()) == 1

    def test_a_store_that_goes_away_and_comes_back(self, data_dir: Path, server: ClickHouse) -> None:
        with service(data_dir, WHODID_STORE__URL=server.url, WHODID_SPOOL__FLUSH_AFTER_S="0.1") as running:
            ids = send(running, 5)
            running.wait_until_stored()
            server.stop()
            for _ in range(10):
                ids += send(running, 5)
                time.sleep(0.2)
            assert running.health()["store"] == "away"
            server.start()
            running.wait_until_stored()
            assert running.said.count("cannot be used") == 1
            assert running.said.count("is back") == 1
            assert "Traceback" not in running.said
            assert running.stop() == 0
        assert len(ids) == 55
        assert stored_span_ids(server.url) == dict.fromkeys(ids, 1)

    def test_a_segment_that_is_delivered_again_changes_nothing(
        self, data_dir: Path, server: ClickHouse
    ) -> None:
        """As after a kill between the insert and the removal of the segment's file."""
        settings = {"WHODID_STORE__URL": server.url, "WHODID_SPOOL__FLUSH_AFTER_S": "3600"}
        with service(data_dir, **settings) as running:
            ids = send(running, 3)
            running.process.kill()
            running.process.wait()
        (path,) = (data_dir / "spool").iterdir()
        content = path.read_bytes()
        for _ in range(2):
            path.write_bytes(content)
            with service(data_dir, **settings) as running:
                running.wait_until_stored()
                assert running.stop() == 0
        assert stored_span_ids(server.url) == dict.fromkeys(ids, 1)

    def test_a_wrong_clock_is_replayed_into_the_same_day(self, data_dir: Path, server: ClickHouse) -> None:
        """Its partition is the day of its arrival, and the store knows an insert again by partition."""
        span = Sent(start_ns=1)
        arrived = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=3)
        name = f"{int(arrived.timestamp()) * 10**9:020d}-00000000.segment"
        (data_dir / "spool").mkdir(parents=True)
        for _ in range(2):
            (data_dir / "spool" / name).write_bytes(segment.frame(request(span)) + request(span))
            with service(data_dir, WHODID_STORE__URL=server.url) as running:
                assert running.stop() == 0
        assert stored_span_ids(server.url) == {span.span_id.hex(): 1}
        day = _query(server, "SELECT day FROM whodid.spans")
        assert day.decode().strip() == arrived.date().isoformat()


class TestBounds:
    def test_a_full_spool_tells_senders_to_retry(self, data_dir: Path, server: ClickHouse) -> None:
        limits = {"WHODID_SPOOL__MAX_BYTES": "65536", "WHODID_RECEIVER__MAX_REQUEST_BYTES": "65536"}
        with service(data_dir, WHODID_STORE__URL=server.url, **limits) as running:
            server.stop()
            # Never the same twice: that would be acknowledged without taking any room.
            while (answer := post(running, big := request(*(Sent() for _ in range(100))))).status_code == 200:
                pass
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert _retry_delay_s(status_pb2.Status.FromString(answer.content)) > 0
            with grpc.insecure_channel(running.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(METHOD)(big, timeout=30)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
            trailer = dict(caught.value.trailing_metadata())["grpc-status-details-bin"]  # type: ignore[attr-defined]
            assert _retry_delay_s(status_pb2.Status.FromString(trailer)) > 0
            server.start()
            running.wait_until_stored()
            assert post(running, big).status_code == 200

    def test_too_many_at_once_are_told_to_retry(self, data_dir: Path) -> None:
        with service(data_dir, WHODID_RECEIVER__MAX_CONCURRENT_REQUESTS="2") as running:
            head = b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
            slow = [socket.create_connection(("127.0.0.1", running.http_port)) for _ in range(2)]
            for each in slow:
                each.sendall(head + b"content-length: 10\r\n\r\n")
            time.sleep(0.5)
            answer = post(running, request(Sent()))
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            for each in slow:
                each.close()
            time.sleep(0.5)
            assert len(send(running, 1)) == 1
            assert "Traceback" not in running.said


def test_one_request_that_cannot_be_processed_does_not_hold_up_the_others(data_dir: Path) -> None:
    """Nothing like it gets past the receivers' check; a bug, or a bit that fell over on the disk, might."""
    sound, bad = [Sent(), Sent()], garbage(300)
    bodies = [request(sound[0]), bad, request(sound[1])]
    (data_dir / "spool").mkdir(parents=True)
    content = b"".join(segment.frame(body) + body for body in bodies)
    (data_dir / "spool" / f"{segment.new_id()}.segment").write_bytes(content)
    with service(data_dir) as running:
        assert running.stop() == 0
        assert "is kept in quarantine" in running.said
    assert stored_span_ids(embedded(data_dir)) == {span.span_id.hex(): 1 for span in sound}
    (kept,) = (data_dir / "quarantine" / "segments").glob("*.segment")
    assert segment.parse(kept.read_bytes()).bodies == [bad]


def test_a_corrupt_record_is_kept_and_what_follows_is_stored(data_dir: Path) -> None:
    spans = [Sent(), Sent(), Sent()]
    content = bytearray(b"".join(segment.frame(request(span)) + request(span) for span in spans))
    content[len(content) // 2] ^= 0xFF
    (data_dir / "spool").mkdir(parents=True)
    (data_dir / "spool" / f"{segment.new_id()}.segment").write_bytes(content)
    with service(data_dir) as running:
        assert running.stop() == 0
        assert "no whole record; they are kept in quarantine" in running.said
    assert stored_span_ids(embedded(data_dir)) == {span.span_id.hex(): 1 for span in (spans[0], spans[2])}
    (kept,) = (data_dir / "quarantine" / "corrupt").glob("*.corrupt")
    assert kept.stat().st_size == len(content) // 3
    assert "checksum" in kept.with_suffix(".reason.txt").read_text()


def test_the_same_request_over_both_receivers_is_stored_once(data_dir: Path) -> None:
    span = Sent()
    body = request(span)
    with service(data_dir) as running:
        with grpc.insecure_channel(running.grpc) as channel:
            channel.unary_unary(METHOD)(body, timeout=30)
        assert [post(running, body).status_code for _ in range(3)] == [200, 200, 200]
        running.process.kill()  # and again by the next process, which finds it in the spool
        running.process.wait()
    with service(data_dir, WHODID_SPOOL__FLUSH_AFTER_S="3600") as running:
        assert post(running, body).status_code == 200
        assert running.stop() == 0
    assert stored_span_ids(embedded(data_dir)) == {span.span_id.hex(): 1}


def test_a_refused_segment_is_kept_and_does_not_hold_up_the_next(data_dir: Path, server: ClickHouse) -> None:
    with service(data_dir, WHODID_STORE__URL=server.url, WHODID_SPOOL__FLUSH_AFTER_S="0.1") as running:
        _query(server, "ALTER TABLE whodid.spans RENAME COLUMN status_message TO elsewhere")
        (refused,) = send(running)
        folder = data_dir / "quarantine" / "segments"
        deadline_s = time.monotonic() + 20
        while "refused for good and is kept in quarantine" not in running.said:
            assert time.monotonic() < deadline_s, running.said
            time.sleep(0.05)
        (kept,) = folder.glob("*.segment")
        assert "status_message" in kept.with_suffix(".reason.txt").read_text()
        _query(server, "ALTER TABLE whodid.spans RENAME COLUMN elsewhere TO status_message")
        (taken,) = send(running)
        assert running.stop() == 0
    assert stored_span_ids(server.url) == {taken: 1}
    # Put back while the service runs, it is stored.
    with service(data_dir, WHODID_STORE__URL=server.url) as running:
        retry = [sys.executable, "-m", "whodid.cli.main", "quarantine", "retry", kept.stem]
        done = subprocess.run(
            [*retry, "--data-dir", str(data_dir)], capture_output=True, text=True, env=environment()
        )
        assert (done.returncode, done.stderr) == (0, "1 of 1 on their way back\n")
        deadline_s = time.monotonic() + 20
        while running.health()["spool_bytes"] or list((data_dir / "quarantine").rglob("*.segment")):
            assert time.monotonic() < deadline_s, running.said
            time.sleep(0.05)
    assert stored_span_ids(server.url) == {taken: 1, refused: 1}


def _query(server: ClickHouse, query: str) -> bytes:
    address = f"http://127.0.0.1:{server.port}/"
    with urllib.request.urlopen(urllib.request.Request(address, query.encode()), timeout=30) as answer:
        return answer.read()


def _retry_delay_s(status: status_pb2.Status) -> int:
    info = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    return info.retry_delay.seconds


def _send_until_killed(running: Running, after_s: float) -> list[str]:
    """Eight senders at once, until the service is killed under them; what was acknowledged to them."""
    timer = threading.Timer(after_s, lambda: os.kill(running.process.pid, signal.SIGKILL))
    timer.start()

    def sender(_number: int) -> list[str]:
        ids: list[str] = []
        with httpx.Client(timeout=30) as client:
            while True:
                spans = [Sent() for _ in range(5)]
                try:
                    answer = client.post(running.http, content=request(*spans), headers=PROTOBUF)
                except httpx.TransportError:
                    return ids
                if answer.status_code == 200:
                    ids += [span.span_id.hex() for span in spans]

    with ThreadPoolExecutor(8) as pool:
        acknowledged = [name for ids in pool.map(sender, range(8)) for name in ids]
    timer.join()
    return acknowledged
