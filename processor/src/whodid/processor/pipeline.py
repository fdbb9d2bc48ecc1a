"""The pipeline: from requests as bytes to what the store inserts. The one list of stages."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import partial

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from whodid.processor.batch import Batch, Severity
from whodid.processor.bodies import Requests
from whodid.processor.settings import DEFAULT_LIMITS, LimitSettings
from whodid.processor.stages.decode import check, decode
from whodid.processor.stages.enrich import enrich
from whodid.processor.stages.limit import limit
from whodid.processor.stages.normalise import normalise
from whodid.processor.stages.redact import redact
from whodid.processor.stages.seal import Sealed, seal
from whodid.processor.stages.validate import validate

Stage = Callable[[Batch], Batch]


def stages(
    severity: Severity = Severity.VIOLATION, limits: LimitSettings = DEFAULT_LIMITS
) -> tuple[Stage, ...]:
    """What a batch goes through between `decode` and `seal`, in this order: the one list."""
    return (normalise, enrich, partial(validate, severity=severity), redact, partial(limit, limits=limits))


def enriched(
    requests: Requests,
    *,
    severity: Severity = Severity.VIOLATION,
    limits: LimitSettings = DEFAULT_LIMITS,
) -> Batch:
    """The requests' spans as every stage leaves them, before they get the store's columns: to be forwarded.

    Raises MalformedRequestError when a request cannot be decoded.
    """
    batch = decode(requests)
    for stage in stages(severity, limits):
        batch = stage(batch)
    return batch


def run(
    requests: Requests,
    arrived_on: datetime.date | None = None,
    *,
    severity: Severity = Severity.VIOLATION,
    tenant: str = "",
    limits: LimitSettings = DEFAULT_LIMITS,
) -> Sealed:
    """The requests' spans, ready for the store. The same requests in the same order give the same bytes.

    `arrived_on`: the day (UTC) on which they came, today where it is not given. A replay has to give it: a
    span whose time is implausible is kept under that day, and the store knows an insert again by day only.
    `tenant`: whose they are. `limits`: the settings' defaults where they are not given.
    `severity`: the validator's milder findings are left out; nearly every span could say more than it does.
    Raises MalformedRequestError when a request cannot be decoded.
    """
    batch = enriched(requests, severity=severity, limits=limits)
    return seal(batch, arrived_on or datetime.datetime.now(datetime.UTC).date(), tenant, limits)


def warm_up() -> None:
    """Compiles what is not compiled yet, so that it is not the first sender who waits for that.

    Some seconds at the first start after an installation; then it is on disk.
    """
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add(trace_id=b"t" * 16, span_id=b"s" * 8)
    span.attributes.add(key="text").value.string_value = "value"
    span.attributes.add(key="list").value.array_value.values.add().string_value = "value"
    body = message.SerializeToString()
    check(body)
    run([body])
