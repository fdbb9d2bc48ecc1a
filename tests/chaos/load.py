"""Load that remembers: what was sent, what was acknowledged, and what may be told of by nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from tests.spans import Sent, request

SPANS_A_REQUEST = 50
PROTOBUF = {"content-type": "application/x-protobuf"}


@dataclass
class Ledger:
    """The ids of spans, by what their senders know of them."""

    sent: set[str] = field(default_factory=set[str])
    acknowledged: set[str] = field(default_factory=set[str])
    refused_requests: int = 0


class Load:
    """Threads that send, and send again, the same bytes until they are acknowledged, as exporters do.

    `where` gives the address to send to, which changes at each restart.
    """

    def __init__(self, ledger: Ledger, where: Callable[[], str], senders: int = 4) -> None:
        self._ledger = ledger
        self._where = where
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(senders)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Each sender ends with the request that it has in hand: acknowledged, or given up."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._stop.is_set():
                spans = [Sent(attributes={"text": "x" * 500}) for _ in range(SPANS_A_REQUEST)]
                ids = {span.span_id.hex() for span in spans}
                with self._lock:
                    self._ledger.sent |= ids
                if self._delivered(client, request(*spans)):
                    with self._lock:
                        self._ledger.acknowledged |= ids

    def _delivered(self, client: httpx.Client, body: bytes) -> bool:
        while True:
            try:
                if client.post(self._where(), content=body, headers=PROTOBUF).status_code == 200:
                    return True
                with self._lock:
                    self._ledger.refused_requests += 1
            except httpx.TransportError:
                pass
            if self._stop.is_set():
                return False
            time.sleep(0.05)
