"""The pipeline: from requests as bytes to what the store inserts. The stages, in their order."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from whodid.processor.batch import Severity
from whodid.processor.stages.decode import decode
from whodid.processor.stages.enrich import enrich
from whodid.processor.stages.normalise import normalise
from whodid.processor.stages.redact import redact
from whodid.processor.stages.seal import Sealed, seal
from whodid.processor.stages.validate import validate


def run(
    requests: Sequence[bytes],
    arrived_on: datetime.date | None = None,
    *,
    severity: Severity = Severity.VIOLATION,
) -> Sealed:
    """The requests' spans, ready for the store. The same requests in the same order give the same bytes.

    `arrived_on`: the day (UTC) on which they came, today where it is not given. A replay has to give it: a
    span whose time is implausible is kept under that day, and the store knows an insert again by day only.
    `severity`: the validator's milder findings are left out; nearly every span could say more than it does.
    Raises MalformedRequestError when a request cannot be decoded.
    """
    batch = enrich(normalise(decode(requests)))
    batch = redact(validate(batch, severity))
    return seal(batch, arrived_on or datetime.datetime.now(datetime.UTC).date())
