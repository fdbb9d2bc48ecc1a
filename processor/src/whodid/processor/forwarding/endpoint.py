"""An OTLP endpoint as a client sees it: one request sent, and what its answer means (OTLP 1.10, Failures)."""

from __future__ import annotations

import email.utils
import gzip
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import grpc
import urllib3
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from whodid.processor.errors import WhodidError
from whodid.processor.stages.redact import without_secrets

if TYPE_CHECKING:
    from whodid.processor.settings import ForwardSettings

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
MAX_RETRY_AFTER_S = 300.0
_MAX_ANSWER_BYTES = 64 * 1024
# Only what says that this request is wrong, and will be. A wrong token or path is the endpoint's fault or the
# settings': someone mends it, and acknowledged data waits until then.
_REFUSED_BY_GRPC = frozenset((grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.OUT_OF_RANGE))
_REFUSED_BY_HTTP = frozenset((400, 413, 422))


class EndpointUnavailableError(WhodidError):
    """It did not take the request now; the same may be taken later."""

    def __init__(self, cause: str, retry_after_s: float = 0.0) -> None:
        super().__init__(cause, "check that the endpoint runs, and WHODID_FORWARD__URL")
        self.retry_after_s = min(max(retry_after_s, 0.0), MAX_RETRY_AFTER_S)


class EndpointRefusedError(WhodidError):
    """It will never take this request."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A request that was taken; all of it, where nothing was rejected."""

    rejected_spans: int = 0
    message: str = ""


class Endpoint(ABC):
    """Sends one request after the other; for one thread."""

    def __init__(self, description: str) -> None:
        self.description = description

    @abstractmethod
    def send(self, request: bytes) -> Answer:
        """Raises EndpointUnavailableError and EndpointRefusedError."""

    @abstractmethod
    def close(self) -> None: ...

    def _refusal(self, message: str) -> EndpointRefusedError:
        return EndpointRefusedError(
            f"{self.description} refused the spans: {_line(message)}", "see the quarantine"
        )

    def _away(self, message: str, retry_after_s: float = 0.0) -> EndpointUnavailableError:
        return EndpointUnavailableError(f"{self.description} cannot be used: {_line(message)}", retry_after_s)


def connect(settings: ForwardSettings) -> Endpoint:
    """The endpoint of the settings; nothing is sent yet. Raises WhodidError when the URL makes no sense."""
    url = settings.url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise WhodidError(
            "forward.url is no http:// or https:// URL of a host",
            "for example http://collector.internal:4317; a token belongs into WHODID_FORWARD__HEADERS",
        )
    headers = parse_headers(settings.headers.get_secret_value())
    if settings.protocol == "grpc":
        return _Grpc(parts.netloc, parts.scheme == "https", headers, settings)
    path = parts.path.rstrip("/")
    return _Http(url if path.endswith("/v1/traces") else f"{url.rstrip('/')}/v1/traces", headers, settings)


def parse_headers(text: str) -> dict[str, str]:
    """`key=value,key2=value2`, values percent-encoded, as OTEL_EXPORTER_OTLP_HEADERS. Raises WhodidError."""
    headers: dict[str, str] = {}
    for pair in filter(None, (each.strip() for each in text.split(","))):
        key, separator, value = pair.partition("=")
        if not separator or not key.strip():
            raise WhodidError("forward.headers cannot be read", "write key=value,key2=value2")
        headers[key.strip().lower()] = unquote(value.strip())
    return headers


class _Grpc(Endpoint):
    def __init__(
        self, target: str, secure: bool, headers: Mapping[str, str], settings: ForwardSettings
    ) -> None:
        super().__init__(f"the OTLP endpoint {target}")
        library: Any = grpc
        options = (("grpc.max_send_message_length", -1), ("grpc.max_reconnect_backoff_ms", 10_000))
        compression = (
            grpc.Compression.Gzip if settings.compression == "gzip" else grpc.Compression.NoCompression
        )
        if secure:
            credentials = grpc.ssl_channel_credentials()
            self._channel: Any = library.secure_channel(target, credentials, options, compression)
        else:
            self._channel = library.insecure_channel(target, options, compression)
        self._call: Any = self._channel.unary_unary(METHOD)  # bytes in, bytes out
        self._metadata = tuple(headers.items())
        self._timeout_s = settings.timeout_s

    def send(self, request: bytes) -> Answer:
        try:
            answer: bytes = self._call(request, timeout=self._timeout_s, metadata=self._metadata)
        except grpc.RpcError as caught:
            error: Any = caught
            message = f"{error.code().name}: {error.details() or ''}"
            if error.code() in _REFUSED_BY_GRPC:
                raise self._refusal(message) from None
            raise self._away(message, _retry_delay_s(error.trailing_metadata())) from None
        return _answer(answer)

    def close(self) -> None:
        self._channel.close()


class _Http(Endpoint):
    def __init__(self, url: str, headers: Mapping[str, str], settings: ForwardSettings) -> None:
        super().__init__(f"the OTLP endpoint {url}")
        self._url = url
        self._headers = {**headers, "content-type": "application/x-protobuf"}
        self._gzip = settings.compression == "gzip"
        if self._gzip:
            self._headers["content-encoding"] = "gzip"
        # Redirects are not followed: a token would go to whoever is named.
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(total=settings.timeout_s), retries=False)

    def send(self, request: bytes) -> Answer:
        body = gzip.compress(request, 1, mtime=0) if self._gzip else request
        try:
            response = self._pool.request(
                "POST", self._url, body=body, headers=self._headers, preload_content=False, redirect=False
            )
            try:
                content = response.read(_MAX_ANSWER_BYTES)
            finally:
                response.drain_conn()
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._away(f"{type(error).__name__}: {error}") from None
        if response.status == 200:
            return _answer(content)
        message = f"{response.status} {_message(content)}"
        if response.status in _REFUSED_BY_HTTP:
            raise self._refusal(message)
        raise self._away(message, _retry_after_s(response.headers.get("retry-after", "")))

    def close(self) -> None:
        self._pool.clear()


def _answer(content: bytes) -> Answer:
    """An answer that nobody can read still means that the request was taken."""
    try:
        partial = ExportTraceServiceResponse.FromString(content).partial_success
    except DecodeError:
        return Answer()
    return Answer(partial.rejected_spans, _line(partial.error_message))


def _message(content: bytes) -> str:
    try:
        return status_pb2.Status.FromString(content).message
    except DecodeError:
        return ""


def _line(message: str) -> str:
    """What an endpoint says, for a warning: one line, bounded, without what looks like a secret."""
    return without_secrets(" ".join(message.split())[:300])


def _retry_delay_s(metadata: Any) -> float:
    """The RetryInfo in a gRPC answer's details; 0 where there is none."""
    for key, value in metadata or ():
        if key != "grpc-status-details-bin":
            continue
        try:
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.RetryInfo()
                if detail.Unpack(info):
                    return info.retry_delay.seconds + info.retry_delay.nanos / 1e9
        except DecodeError:
            return 0.0
    return 0.0


def _retry_after_s(value: str) -> float:
    """An HTTP Retry-After (RFC 9110, 10.2.3): seconds, or a date; 0 for anything else."""
    if value.strip().isdecimal():
        return float(value.strip()[:6])
    try:
        return email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return 0.0
