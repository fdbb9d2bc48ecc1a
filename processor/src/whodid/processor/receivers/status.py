"""What a sender is told when its request is not taken: google.rpc.Status, as OTLP asks."""

from __future__ import annotations

from google.rpc import code_pb2, error_details_pb2, status_pb2

from whodid.processor.errors import WhodidError
from whodid.processor.intake import BusyError
from whodid.processor.spool import SpoolUnavailableError
from whodid.processor.stages.decode import MalformedRequestError

REFUSALS = (MalformedRequestError, BusyError, SpoolUnavailableError)

INVALID_ARGUMENT: int = code_pb2.INVALID_ARGUMENT
RESOURCE_EXHAUSTED: int = code_pb2.RESOURCE_EXHAUSTED


def status(code: int, message: str, retry_after_s: int | None = None) -> status_pb2.Status:
    """A Status; with `retry_after_s` it carries the RetryInfo that tells an exporter to send again."""
    made = status_pb2.Status(code=code, message=message)
    if retry_after_s is not None:
        info = error_details_pb2.RetryInfo()
        info.retry_delay.seconds = retry_after_s
        made.details.add().Pack(info)
    return made


def of(error: WhodidError) -> status_pb2.Status:
    """The Status for one of REFUSALS: final for a malformed request, to be retried for the others."""
    if isinstance(error, BusyError | SpoolUnavailableError):
        return status(RESOURCE_EXHAUSTED, error.cause, error.retry_after_s)
    return status(INVALID_ARGUMENT, error.cause)
