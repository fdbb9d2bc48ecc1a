"""Takes the records of views to the workers: the supervisor has the API, and no spool of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from whodid.processor import ports
from whodid.processor.errors import WhodidError
from whodid.processor.forwarding.endpoint import EndpointUnavailableError, connect
from whodid.processor.settings import ForwardSettings

if TYPE_CHECKING:
    from whodid.processor.settings import ReceiverSettings

TIMEOUT_S = 4.0


class Relay:
    """A sender like any other, by OTLP/HTTP, which answers when the request is durable."""

    def __init__(self, receiver: ReceiverSettings, http_port: int) -> None:
        url = f"http://{ports.at(ports.reachable(receiver.host), http_port)}"
        self._endpoint = connect(
            ForwardSettings(url=url, protocol="http/protobuf", compression="none", timeout_s=TIMEOUT_S)  # pyright: ignore[reportCallIssue]
        )
        self._one_at_a_time = asyncio.Lock()

    async def accept(self, body: bytes) -> None:
        """Returns when a worker has it on disk. Raises WhodidError."""
        async with self._one_at_a_time:
            await asyncio.to_thread(self._send, body)

    def _send(self, body: bytes) -> None:
        try:
            answer = self._endpoint.send(body)
        except EndpointUnavailableError:
            # Once more: a worker that was replaced meanwhile leaves a connection behind that is dead.
            answer = self._endpoint.send(body)
        if answer.rejected_spans:
            raise WhodidError("a worker did not take it")
