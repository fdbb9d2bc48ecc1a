"""The same inputs, and broken HTTP/1.1 and HTTP/2 around them, at the receivers of a running service."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any, cast

import grpc
import httpx

from tests.benchmarks.load import EXPORT
from tests.benchmarks.processes import resident_mib
from tests.fuzz import mutations, oracle
from tests.fuzz.decoding import Defect
from tests.fuzz.guarded import MAX_GROWTH_MIB, WARM_UP_SHARE, Outcome
from tests.running import Running, service
from tests.spans import Sent, request

HANG_S = 30
SAID_CHARACTERS = 3_000
RAW_SHARE = 0.02
"""How many inputs are a broken connection instead of a broken body."""
BODIES_A_CONNECTION = 1_000
BACK_WITHIN_S = 5
"""Some broken connections end grpcio's own server; the receiver is there again in about a second."""
_RAW_TIMEOUT_S = 0.2
_AGAIN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)

Send = Callable[[bytes], str]
"""Sends a body; returns `accepted`, `refused`, or what else was answered."""


def run(target: str, inputs: int, seed: int, folder: Path) -> Outcome:
    """`target` is `grpc` or `http`. The service's data is in `folder`."""
    draw, began_s = random.Random(seed), time.monotonic()
    outcome = Outcome(Counter(), [], 0.0, 0.0)
    with service(folder / "data") as up:
        pid, warm_mib = up.process.pid, 0.0
        for first in range(0, inputs, BODIES_A_CONNECTION):
            with _connection(target, up, outcome) as send:
                for number in range(first, min(inputs, first + BODIES_A_CONNECTION)):
                    _one(draw, send, target, up, outcome)
                    if not warm_mib and number >= inputs * WARM_UP_SHARE:
                        warm_mib = resident_mib(pid)
        with _connection(target, up, outcome) as send:
            if (answer := send(request(Sent()))) != "accepted":
                outcome.problems.append(f"a good request at the end: {answer}")
        with contextlib.suppress(TimeoutError):
            up.wait_until_stored(60)
        outcome.grown_mib = resident_mib(pid) - warm_mib
        if outcome.grown_mib > MAX_GROWTH_MIB:
            outcome.problems.append(f"memory grew by {outcome.grown_mib:.0f} MiB")
        _end(up, outcome)
    outcome.seconds = time.monotonic() - began_s
    return outcome


def _one(draw: random.Random, send: Send, target: str, up: Running, outcome: Outcome) -> None:
    outcome.counts["inputs"] += 1
    if draw.random() < RAW_SHARE:
        outcome.counts["broken connections"] += 1
        _raw(draw, up.http_port if target == "http" else up.grpc_port, target)
        return
    body = mutations.make(draw)
    answer = send(body)
    sound = oracle.read(body) is not None
    # Ours may be stricter: it has limits that protobuf has not.
    outcome.counts["refused, though protobuf reads it" if sound and answer == "refused" else answer] += 1
    if answer not in ("accepted", "refused"):
        outcome.defects.append(Defect(answer, body))
    elif answer == "accepted" and not sound:
        outcome.defects.append(Defect("accepted, though protobuf refuses it", body))
    if up.process.poll() is not None:
        outcome.problems.append(f"the service ended with {up.process.returncode}")
        raise RuntimeError(f"the service ended after {outcome.counts['inputs']} inputs: {body.hex()}")


def _end(up: Running, outcome: Outcome) -> None:
    """The end of the service, and what it said while it ran."""
    if (code := up.stop()) != 0:
        outcome.problems.append(f"the service ended with {code}")
    for sign in ("Traceback", "cannot be processed", "refused for good", "stay in the spool"):
        lines = [line for line in up.said.splitlines() if sign in line]
        if lines:
            said = up.said[up.said.index(lines[0]) :]
            outcome.problems.append(f"the service said {len(lines)} times: {said[:SAID_CHARACTERS]}")


@contextlib.contextmanager
def _connection(target: str, up: Running, outcome: Outcome) -> Generator[Send]:
    if target == "http":
        with httpx.Client(timeout=HANG_S) as client:
            yield partial(_post, client, up.http)
    else:
        options = [("grpc.max_send_message_length", -1)]
        channel: Any = cast("Any", grpc).insecure_channel(up.grpc, options=options)
        try:
            yield partial(_call, channel.unary_unary(EXPORT), outcome)
        finally:
            channel.close()


def _post(client: httpx.Client, url: str, body: bytes) -> str:
    try:
        answer = client.post(url, content=body, headers={"content-type": "application/x-protobuf"})
    except httpx.HTTPError as error:
        return f"{type(error).__name__}"
    return {200: "accepted", 400: "refused"}.get(answer.status_code, f"answered {answer.status_code}")


def _call(export: Any, outcome: Outcome, body: bytes) -> str:
    """As OTLP has it: what is cancelled, or finds nobody there, is sent again. For a few seconds only."""
    give_up_at_s = time.monotonic() + BACK_WITHIN_S
    while True:
        try:
            export(body, timeout=HANG_S)
        except grpc.RpcError as error:
            known: Any = error
            if known.code() is grpc.StatusCode.INVALID_ARGUMENT:
                return "refused"
            if known.code() not in _AGAIN or time.monotonic() > give_up_at_s:
                return f"answered {known.code().name}: {(known.details() or '')[:200]}"
            outcome.counts["sent again"] += 1
            time.sleep(0.1)
        else:
            return "accepted"


def _raw(draw: random.Random, port: int, target: str) -> None:
    """What is no sound connection; any answer or none will do, for the next input asks whether it lives."""
    body = mutations.make(draw)
    content = _http_request(draw, body) if target == "http" else _http2(draw, body)
    content = draw.choice(
        (mutations.in_bytes(draw, content), draw.randbytes(500), content[: len(content) // 2])
    )
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=_RAW_TIMEOUT_S) as connection,
    ):
        connection.sendall(content)
        connection.recv(65536)


def _http_request(draw: random.Random, body: bytes) -> bytes:
    length = draw.choice((len(body), 0, 2**30, 2**64, -1, len(body) + 1))
    framing = draw.choice((f"content-length: {length}", "transfer-encoding: chunked", "x: y"))
    encoding = draw.choice(("", "content-encoding: gzip\r\n", "content-encoding: deflate\r\n"))
    head = (
        f"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n{encoding}{framing}"
    )
    return head.encode() + b"\r\n\r\n" + body


def _http2(draw: random.Random, body: bytes) -> bytes:
    """The preface, SETTINGS, HEADERS and DATA, by hand; the message's length is often a lie."""

    def literal(name: str, value: str) -> bytes:  # HPACK: a literal header field without indexing
        return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()

    def frame(kind: int, flags: int, stream: int, content: bytes) -> bytes:
        return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content

    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": EXPORT,
        ":authority": "x",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    block = b"".join(literal(name, value) for name, value in headers.items())
    length = draw.choice((len(body), 0, len(body) + 1, 2**30, 2**32 - 1))
    message = bytes([draw.choice((0, 1, 255))]) + length.to_bytes(4, "big") + body[:16_000]
    more = frame(draw.randrange(12), draw.randrange(256), draw.choice((0, 1, 3)), draw.randbytes(8))
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"")
    return preface + frame(1, 4, 1, block) + more + frame(0, draw.choice((0, 1)), 1, message)
