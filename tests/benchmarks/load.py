"""Sends requests over OTLP/gRPC: as fast as they are taken, or at a fixed rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import grpc

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
CALL_TIMEOUT_S = 60
RETRY_AFTER_S = 0.1


@dataclass(slots=True)
class Answers:
    """What came back."""

    acknowledged: list[float] = field(default_factory=list[float])
    """The time from each request to its acknowledgement, in seconds, that of the last try."""
    refused: list[str] = field(default_factory=list[str])
    """Why a request was refused. It was sent again after a moment, as an OTLP exporter does."""
    gave_up: list[str] = field(default_factory=list[str])
    """Why a request was never acknowledged."""


class Sender:
    """One gRPC connection. Close it at the end."""

    def __init__(self, port: int) -> None:
        options = [("grpc.max_send_message_length", -1)]
        self._channel: Any = cast("Any", grpc).insecure_channel(f"127.0.0.1:{port}", options=options)
        self._export: Any = self._channel.unary_unary(EXPORT)

    def close(self) -> None:
        self._channel.close()

    def at_full_speed(self, bodies: Iterator[bytes], senders: int, stop: threading.Event) -> Answers:
        """Sends every body, `senders` at a time, until there are no more or `stop` is set."""
        answers, lock = Answers(), threading.Lock()

        def work() -> None:
            while not stop.is_set():
                with lock:
                    body = next(bodies, None)
                if body is None:
                    return
                self._send(body, answers, stop)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(senders)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def at_a_rate(
        self,
        next_body: Callable[[], tuple[bytes, bytes]],
        requests_a_second: float,
        seconds: float,
        acknowledged: Callable[[bytes], None],
    ) -> Answers:
        """Starts a request when its time has come, whether or not earlier ones were answered.

        `next_body` gives a body and its mark; `acknowledged` is called with the mark. The time of an answer
        counts from when the request was due: what waits in the sender counts as well. Nothing is sent again.
        """
        answers, open_calls = Answers(), threading.Semaphore(0)
        count = int(requests_a_second * seconds)
        began_s = time.perf_counter()

        def answered(call: Any, mark: bytes, due_s: float) -> None:
            if call.exception() is None:
                answers.acknowledged.append(time.perf_counter() - due_s)
                acknowledged(mark)
            else:
                answers.gave_up.append(_why(call.exception()))
            open_calls.release()

        for number in range(count):
            body, mark = next_body()
            due_s = began_s + number / requests_a_second
            time.sleep(max(0.0, due_s - time.perf_counter()))
            call = self._export.future(body, timeout=CALL_TIMEOUT_S)
            call.add_done_callback(partial(answered, mark=mark, due_s=due_s))
        for _ in range(count):
            open_calls.acquire()
        return answers

    def _send(self, body: bytes, answers: Answers, stop: threading.Event) -> None:
        give_up_at_s = time.monotonic() + CALL_TIMEOUT_S
        while True:
            began_s = time.perf_counter()
            try:
                self._export(body, timeout=CALL_TIMEOUT_S, wait_for_ready=True)
            except grpc.RpcError as error:
                if time.monotonic() > give_up_at_s or stop.is_set():
                    answers.gave_up.append(_why(error))
                    return
                answers.refused.append(_why(error))
                time.sleep(RETRY_AFTER_S)
            else:
                answers.acknowledged.append(time.perf_counter() - began_s)
                return


def _why(error: Any) -> str:
    return f"{error.code().name}: {(error.details() or '')[:120]}"
