"""What nobody should send, on both ports of a running service; after it the next good request is stored."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import time
import zlib
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import grpc
import httpx
import pytest
from google.rpc import code_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.running import Running, service, stored_span_ids
from tests.spans import Sent, garbage, request

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
MAX_REQUEST_BYTES = 1024 * 1024
GOOD = request(Sent())


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("garbage") / "data"


@pytest.fixture(scope="module")
def running(data_dir: Path) -> Generator[Running]:
    with service(data_dir, WHODID_RECEIVER__MAX_REQUEST_BYTES=str(MAX_REQUEST_BYTES)) as started:
        yield started
        assert "Traceback" not in started.said
        # One warning a kind and ten seconds, however many requests are refused.
        assert started.said.count("warning: refused a request") < 10


@pytest.fixture
def good_next(running: Running, data_dir: Path) -> Generator[None]:
    """After the test a good request has to be taken on both ports."""
    yield
    assert post(running, request(Sent())).status_code == 200
    assert call(running, request(Sent())) == b""


def post(running: Running, body: bytes, kind: str = PROTOBUF, **headers: str) -> httpx.Response:
    named = {"content-type": kind} | {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(running.http, content=body, headers=named, timeout=30)


def call(running: Running, body: bytes, method: str = METHOD, **options: Any) -> bytes:
    with grpc.insecure_channel(running.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        export: Any = cast("Any", channel).unary_unary(method)
        return export(body, timeout=30, **options)


def refusal(answer: httpx.Response) -> status_pb2.Status:
    assert answer.headers["content-type"] == PROTOBUF
    return status_pb2.Status.FromString(answer.content)


def spans_json(**span: Any) -> bytes:
    sound = {"traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": os.urandom(8).hex(), "name": "a"}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [sound | span]}]}]}).encode()


@pytest.mark.usefixtures("good_next")
class TestHttp:
    def test_a_good_request_gets_an_empty_response_in_its_own_type(self, running: Running) -> None:
        answer = post(running, GOOD)
        assert (answer.status_code, answer.headers["content-type"]) == (200, PROTOBUF)
        assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
        answer = post(running, spans_json(), "application/json; charset=utf-8")
        assert (answer.status_code, answer.headers["content-type"], answer.json()) == (200, JSON, {})

    def test_an_empty_request_is_taken(self, running: Running) -> None:
        assert post(running, b"").status_code == 200
        assert post(running, b"{}", JSON).status_code == 200

    @pytest.mark.parametrize(
        "body",
        [garbage(3000), GOOD[:-3], b"\x0a\xff\xff\xff\xff\x07", b"{}"],
        ids=["random", "cut off", "a length beyond the end", "JSON"],
    )
    def test_what_is_no_protobuf_is_final(self, running: Running, body: bytes) -> None:
        answer = post(running, body)
        assert answer.status_code == 400
        assert refusal(answer).code == code_pb2.INVALID_ARGUMENT
        assert "ExportTraceServiceRequest" in refusal(answer).message
        assert "retry-after" not in answer.headers

    @pytest.mark.parametrize(
        ("body", "named"),
        [
            (b"not json", "Expecting value"),
            (b"\xff\xfe\xfd", "codec"),
            (b"[]", "no object"),
            (b"[" * 100_000, "nested too deeply"),
            (b'{"resourceSpans":' * 500 + b"{}" + b"}" * 500, "resourceSpans"),
            (b'{"resourceSpans": 3}', "resourceSpans"),
            (b'{"resourceSpans": [3]}', "resourceSpans"),
            (spans_json(traceId=7), "traceId"),
            (spans_json(traceId="not hex"), "traceId"),
            (spans_json(kind="SPAN_KIND_CLIENT"), "kind"),
            (spans_json(kind=[]), "kind"),
            (spans_json(name=1), "name"),
            (spans_json(name="\ud800"), "name"),
            (spans_json(startTimeUnixNano="yesterday"), "startTimeUnixNano"),
            (spans_json(startTimeUnixNano=-1), "startTimeUnixNano"),
            (b'{"resourceSpans": 1' + b"0" * 5000 + b"}", "digits"),
            (spans_json(attributes={"a": "b"}), "attributes"),
            (spans_json(attributes=[{"key": "a", "value": {"intValue": "x"}}]), "intValue"),
            (spans_json(attributes=[{"key": "a", "value": {"bytesValue": "*"}}]), "bytesValue"),
        ],
    )
    def test_json_with_wrong_types_is_final(self, running: Running, body: bytes, named: str) -> None:
        answer = post(running, body, JSON)
        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"] == JSON
        assert answer.json()["code"] == code_pb2.INVALID_ARGUMENT
        assert named in answer.json()["message"]

    def test_unknown_json_fields_are_ignored(self, running: Running) -> None:
        assert post(running, spans_json(fromTheFuture={"deep": [1]}), JSON).status_code == 200

    @pytest.mark.parametrize(
        "kind", ["", "text/plain", "application/protobuf", "application/x-www-form-urlencoded"]
    )
    def test_another_content_type(self, running: Running, kind: str) -> None:
        answer = post(running, GOOD, kind)
        assert answer.status_code == 415
        assert PROTOBUF in answer.json()["message"]

    def test_another_content_encoding(self, running: Running) -> None:
        answer = post(running, GOOD, content_encoding="br")
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, deflate")

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
    def test_another_method(self, running: Running, method: str) -> None:
        answer = httpx.request(method, running.http)
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")

    @pytest.mark.parametrize("path", ["/", "/v1/metrics", "/v1/logs"])
    def test_another_path_names_the_right_one(self, running: Running, path: str) -> None:
        answer = httpx.post(running.http.replace("/v1/traces", path), content=b"")
        assert answer.status_code == 404
        assert "/v1/traces" in answer.json()["message"]

    def test_too_long(self, running: Running) -> None:
        answer = post(running, bytes(MAX_REQUEST_BYTES + 1))
        assert answer.status_code == 413
        assert str(MAX_REQUEST_BYTES) in refusal(answer).message

    def test_a_declared_gibibyte_is_refused_before_it_comes(self, running: Running) -> None:
        assert b" 413 " in raw(running.http_port, head(f"content-length: {2**30}"))
        for length in ("9" * 19, "9" * 5000, "-1", "x"):
            assert raw(running.http_port, head(f"content-length: {length}"))[9:12] in (b"400", b"413")

    def test_endless_chunks_are_refused_at_the_limit(self, running: Running) -> None:
        chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        assert b" 413 " in raw(running.http_port, head("transfer-encoding: chunked") + chunk * 17)

    def test_a_gzip_bomb(self, running: Running) -> None:
        before = peak_memory_bytes(running)
        bomb = gzip.compress(bytes(500 * 1024 * 1024), compresslevel=9)
        assert len(bomb) < MAX_REQUEST_BYTES
        assert post(running, bomb, content_encoding="gzip").status_code == 413
        assert peak_memory_bytes(running) - before < 50 * 1024 * 1024

    @pytest.mark.parametrize(
        "body",
        [b"no gzip", gzip.compress(GOOD)[:-9], gzip.compress(GOOD) + b"tail"],
        ids=["no gzip", "cut off", "with a tail"],
    )
    def test_broken_gzip_is_final(self, running: Running, body: bytes) -> None:
        answer = post(running, body, content_encoding="gzip")
        assert answer.status_code == 400
        assert "gzip" in refusal(answer).message

    def test_gzip_in_several_members(self, running: Running) -> None:
        body = gzip.compress(GOOD[:20]) + gzip.compress(GOOD[20:])
        assert post(running, body, content_encoding="gzip").status_code == 200

    def test_deflate(self, running: Running) -> None:
        assert post(running, zlib.compress(GOOD), content_encoding="deflate").status_code == 200
        assert post(running, zlib.compress(bytes(2**24)), content_encoding="deflate").status_code == 413

    def test_random_bytes_on_the_socket(self, running: Running) -> None:
        assert b" 400 " in raw(running.http_port, b"\x16\x03\x01" + os.urandom(500) + b"\r\n\r\n")


@pytest.mark.usefixtures("good_next")
class TestGrpc:
    @pytest.mark.parametrize(
        "body",
        [garbage(3000), GOOD[:-3], b"\x0a\xff\xff\xff\xff\x07"],
        ids=["random", "cut off", "a length beyond the end"],
    )
    def test_what_is_no_protobuf_is_final(self, running: Running, body: bytes) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            call(running, body)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "ExportTraceServiceRequest" in error.details()
        details = dict(error.trailing_metadata())["grpc-status-details-bin"]
        assert list(status_pb2.Status.FromString(details).details) == []  # no RetryInfo: do not send it again

    def test_another_method(self, running: Running) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            call(running, GOOD, METHOD.replace("trace", "metrics").replace("Trace", "Metrics"))
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]

    def test_too_long(self, running: Running) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            call(running, bytes(MAX_REQUEST_BYTES + 1))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]

    def test_a_gzip_bomb(self, running: Running) -> None:
        before = peak_memory_bytes(running)
        with pytest.raises(grpc.RpcError) as caught:
            call(running, bytes(500 * 1024 * 1024), compression=grpc.Compression.Gzip)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
        assert peak_memory_bytes(running) - before < 50 * 1024 * 1024

    def test_random_bytes_on_the_socket(self, running: Running) -> None:
        raw(running.grpc_port, os.urandom(5000))
        raw(running.grpc_port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + os.urandom(5000))

    def test_a_declared_gibibyte(self, running: Running) -> None:
        """By hand, for no client sends it."""
        answer = raw(running.grpc_port, declared_over_grpc(2**30))
        assert b"grpc-status" in answer or b"\x018" in answer  # 8 is RESOURCE_EXHAUSTED


def head(length: str) -> bytes:
    """The head of a POST by hand, with its length in one header or another."""
    return f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\n{length}\r\n\r\n".encode()


def declared_over_grpc(length: int, path: bytes = METHOD.encode()) -> bytes:
    """HTTP/2's preface, SETTINGS, HEADERS, and DATA with the head of a message of that length."""

    def literal(name: bytes, value: bytes) -> bytes:  # HPACK: a literal header field without indexing
        return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    headers = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": path,
        b":authority": b"x",
        b"te": b"trailers",
        b"content-type": b"application/grpc",
    }
    block = b"".join(literal(name, value) for name, value in headers.items())
    message = b"\x00" + length.to_bytes(4, "big") + b"\x0a"
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    return preface + frame(1, 4, 1, block) + frame(0, 0, 1, message)


def test_a_call_that_ends_grpcs_own_server_does_not_end_the_receiver(tmp_path: Path) -> None:
    """A path that is no UTF-8 raises inside of grpcio (1.85), and it closes the port."""
    with service(tmp_path / "data") as started:
        for _ in range(2):
            raw(started.grpc_port, declared_over_grpc(1, path=b"/x\xff"))
            call(started, GOOD, wait_for_ready=True)
        assert started.said.count("it is up again") == 2
        assert started.stop() == 0
        assert "Traceback" not in started.said


@pytest.mark.parametrize("pause_s", [0, 0.2])
@pytest.mark.parametrize("behind", [b"garbage\r\n", b"5\r\nab", b"0\r\n\r\nGARBAGE\r\n\r\n"])
@pytest.mark.parametrize("head", [b"POST /v1/traces HTTP/1.1", b"POST /nowhere HTTP/1.1", b"GARBAGE"])
def test_a_request_that_breaks_http_behind_its_head_is_no_traceback(
    running: Running, head: bytes, behind: bytes, pause_s: float
) -> None:
    """While its answer is made, or after it: there is nobody to be answered a second time."""
    head += b"\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", running.http_port), timeout=2) as connection:
        connection.sendall(head)
        time.sleep(pause_s)
        with contextlib.suppress(ConnectionError, TimeoutError):
            connection.sendall(behind)
            assert connection.recv(65536).startswith(b"HTTP/1.1 4")
    assert post(running, GOOD).status_code == 200
    assert "Traceback" not in running.said


def test_what_was_refused_is_in_quarantine_with_the_reason(running: Running, data_dir: Path) -> None:
    body = garbage(100)
    assert post(running, body).status_code == 400
    folder = data_dir / "quarantine" / "requests"
    kept = [path for path in folder.glob("*.request") if path.read_bytes() == body]
    assert len(kept) == 1
    assert "ExportTraceServiceRequest" in kept[0].with_suffix(".reason.txt").read_text()


def test_the_good_requests_are_stored(running: Running, data_dir: Path) -> None:
    """The last of this file: it stops the service, and looks into its store."""
    ids = [os.urandom(8) for _ in range(3)]
    assert post(running, request(Sent(span_id=ids[0]))).status_code == 200
    assert post(running, spans_json(spanId=ids[1].hex()), JSON).status_code == 200
    call(running, request(Sent(span_id=ids[2])), compression=grpc.Compression.Gzip)
    assert running.stop() == 0
    stored = stored_span_ids(f"chdb://{data_dir / 'store'}")
    assert [stored[each.hex()] for each in ids] == [1, 1, 1]


def raw(port: int, content: bytes) -> bytes:
    """Everything that the server answers to these bytes until it closes, or is silent for two seconds."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        try:
            connection.sendall(content)
            while part := connection.recv(65536):
                answer += part
        except (TimeoutError, ConnectionError):
            pass
    return answer


def peak_memory_bytes(running: Running) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
