"""The receivers' limits on a running service: what is refused, how, and how much memory it takes."""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2

from tests.running import Running, service
from tests.spans import Sent, request

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
PROTOBUF = "application/x-protobuf"
MIB = 1024 * 1024
HEAD = (
    f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: {PROTOBUF}\r\ncontent-length: 100\r\n\r\n".encode()
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    limits = {
        "WHODID_RECEIVER__MAX_REQUEST_BYTES": str(2 * MIB),
        "WHODID_RECEIVER__MAX_IN_FLIGHT_BYTES": str(2 * MIB),
        "WHODID_RECEIVER__MAX_CONCURRENT_REQUESTS": "4",
        "WHODID_RECEIVER__MAX_CONNECTIONS": "8",
        "WHODID_RECEIVER__BODY_TIMEOUT_S": "3",
    }
    with service(tmp_path_factory.mktemp("limits") / "data", **limits) as started:
        yield started
        assert "Traceback" not in started.said


def memory_bytes(running: Running) -> int:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def post(running: Running, body: bytes, **headers: str) -> httpx.Response:
    return httpx.post(running.http, content=body, headers={"content-type": PROTOBUF} | headers, timeout=60)


def call(running: Running, body: bytes, **options: Any) -> Any:
    """None when it was taken, or gRPC's error."""
    with grpc.insecure_channel(running.grpc, options=[("grpc.max_send_message_length", -1)]) as channel:
        try:
            cast("Any", channel).unary_unary(METHOD)(body, timeout=60, **options)
        except grpc.RpcError as error:
            return error
        return None


def retry_delay_s(error: Any) -> int:
    refusal = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    info = error_details_pb2.RetryInfo()
    assert refusal.details[0].Unpack(info)
    return info.retry_delay.seconds


def test_a_gigabyte_in_a_bomb_over_http(running: Running) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(MIB)) for _ in range(1024)) + packer.flush()
    before = memory_bytes(running)
    assert post(running, bomb, **{"content-encoding": "gzip"}).status_code == 413
    assert memory_bytes(running) - before < 20 * MIB


def test_a_gigabyte_in_a_bomb_over_grpc(running: Running) -> None:
    before = memory_bytes(running)
    error = call(running, bytes(1024 * MIB), compression=grpc.Compression.Gzip)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert memory_bytes(running) - before < 20 * MIB


@contextmanager
def most_in_flight(running: Running) -> Generator[None]:
    """A request that has nearly all of the bytes that may be in flight, and does not end."""
    with socket.create_connection(("127.0.0.1", running.http_port)) as slow:
        slow.sendall(HEAD.replace(b"100", str(2 * MIB).encode()) + bytes(2 * MIB - 10))
        time.sleep(0.3)
        yield


def test_bytes_in_flight_are_bounded(running: Running) -> None:
    body = request(*(Sent() for _ in range(100)))
    with most_in_flight(running):
        answer = post(running, body)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    time.sleep(0.3)
    with most_in_flight(running):
        error = call(running, body)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert retry_delay_s(error) == 1
    time.sleep(0.3)
    assert post(running, request(Sent())).status_code == 200


def test_long_messages_at_once_over_grpc_take_turns_in_memory(running: Running) -> None:
    before = memory_bytes(running)
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(call, running, b"\x0a" + bytes(2 * MIB - 10)) for _ in range(40)]
        errors: list[Any] = [each.result() for each in waiting]
    # They are no OTLP, which is found when they have been read.
    assert grpc.StatusCode.INVALID_ARGUMENT in {error.code() for error in errors}
    # All of them together would be 80 MiB; what is freed is kept for the next.
    assert memory_bytes(running) - before < 45 * MIB


def test_calls_beyond_the_limit_are_told_when_to_retry(running: Running) -> None:
    """However many come at once: none is refused without a RetryInfo."""
    slow = [socket.create_connection(("127.0.0.1", running.http_port)) for _ in range(4)]
    for each in slow:
        each.sendall(HEAD)
    time.sleep(0.2)
    with ThreadPoolExecutor(50) as pool:
        waiting = [pool.submit(call, running, request(Sent())) for _ in range(50)]
        errors: list[Any] = [each.result() for each in waiting]
    for each in slow:
        each.close()
    refused = [error for error in errors if error is not None]
    assert len(refused) > 10
    assert {retry_delay_s(error) for error in refused} == {1}


def test_a_slow_body_is_given_up(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.http_port), timeout=10) as slow:
        slow.sendall(HEAD + b"a")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_a_call_without_its_message_is_given_up(running: Running) -> None:
    with grpc.insecure_channel(running.grpc) as channel:

        def never() -> Generator[bytes]:
            time.sleep(5)
            yield b""

        with pytest.raises(grpc.RpcError) as caught:
            cast("Any", channel).stream_unary(METHOD)(never(), timeout=10)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert "did not arrive within 3 s" in error.details()


def test_a_call_with_no_message_at_all(running: Running) -> None:
    with grpc.insecure_channel(running.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
        cast("Any", channel).stream_unary(METHOD)(iter(()), timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # type: ignore[attr-defined]


def test_connections_are_bounded(running: Running) -> None:
    idle = [socket.create_connection(("127.0.0.1", running.http_port)) for _ in range(8)]
    time.sleep(0.2)
    with socket.create_connection(("127.0.0.1", running.http_port), timeout=10) as one_more:
        answer = one_more.recv(1000)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in answer
    for each in idle:
        each.close()
    time.sleep(0.2)
    assert post(running, request(Sent())).status_code == 200
