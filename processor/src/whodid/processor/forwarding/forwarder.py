"""The forwarder: takes segments at its own pace, with a cursor of its own, on to an OTLP endpoint."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from whodid.processor import pipeline, spool
from whodid.processor.bodies import Requests
from whodid.processor.delivery import Courier
from whodid.processor.forwarding import encode
from whodid.processor.forwarding.endpoint import Endpoint, EndpointUnavailableError
from whodid.processor.settings import DEFAULT_LIMITS, LimitSettings

if TYPE_CHECKING:
    from whodid.processor.batch import Batch
    from whodid.processor.quarantine import Quarantine
    from whodid.processor.segment import Segment
    from whodid.processor.spool import Spool


@dataclass(slots=True)
class _Progress:
    """How far a segment has come that has to be tried again: what was taken is not sent once more."""

    segment_id: str = ""
    taken_requests: int = 0


class Forwarder(Courier["Batch"]):
    """At least once: after a kill, or an answer that was lost, the endpoint gets the same request again."""

    cursor = spool.FORWARD
    away = (EndpointUnavailableError,)

    def __init__(
        self,
        spool: Spool,
        endpoint: Endpoint,
        quarantine: Quarantine,
        say: Callable[[str], None],
        limits: LimitSettings = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(spool, quarantine, say)
        self._endpoint = endpoint
        self._limits = limits
        self._progress = _Progress()
        self.forwarded_spans = 0
        self.rejected_spans = 0

    @property
    def description(self) -> str:
        return self._endpoint.description

    def prepare(self, requests: Requests, arrived_on: datetime.date | None) -> Batch:  # noqa: ARG002
        return pipeline.enriched(requests, limits=self._limits)

    def send(self, prepared: Batch, taken: Segment) -> None:
        if self._progress.segment_id != taken.id:
            self._progress = _Progress(taken.id)
        for number, request in enumerate(encode.requests(prepared)):
            if number < self._progress.taken_requests:
                continue
            answer = self._endpoint.send(request)
            self._progress.taken_requests = number + 1
            if answer.rejected_spans:
                # OTLP: what was rejected must not be sent again.
                self.rejected_spans += answer.rejected_spans
                what = f"rejected {answer.rejected_spans} spans of segment {taken.id}: {answer.message}"
                self._say(f"warning: {self.description} {what}")

    def delivered(self, prepared: Batch, taken: Segment) -> None:  # noqa: ARG002
        self.forwarded_spans += prepared.row_count
