"""Forwarding: what another OTLP endpoint gets, when, and what its refusals lead to."""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Generator
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from pydantic import SecretStr

from tests.otlp_receiver import receiver
from tests.running import service, stored_span_ids
from tests.spans import Sent, Value, any_value, attribution, request
from whodid.processor import pipeline
from whodid.processor.errors import WhodidError
from whodid.processor.forwarding import encode
from whodid.processor.forwarding.endpoint import (
    METHOD,
    EndpointRefusedError,
    EndpointUnavailableError,
    connect,
    parse_headers,
)
from whodid.processor.settings import ForwardSettings
from whodid.semconv import attributes as attr

SECRET = "AKIAIOSFODNN7EXAMPLE"


def forwarded(*bodies: bytes) -> list[ExportTraceServiceRequest]:
    encoded = encode.requests(pipeline.enriched(list(bodies)))
    return [ExportTraceServiceRequest.FromString(each) for each in encoded]


def of(keyed: Any) -> dict[str, Any]:
    return {pair.key: pair.value for pair in keyed}


class TestEncoding:
    def test_everything_that_was_sent_is_there(self) -> None:
        values: dict[str, Value] = {
            "a.string": "text",
            "a.bool": True,
            "an.int": 7,
            "a.double": 1.0,
            "some.bytes": b"\x00\xff",
            "an.array": [1, "two", 3.5, [True]],
            "a.map": {"x": {"y": b"z"}},
            "nothing": None,
        }
        span = Sent(
            name="made",
            attributes=values,
            parent_id=b"12345678",
            error=True,
            events={"happened": {"n": 2, "s": "t"}},
        )
        sent = ExportTraceServiceRequest.FromString(request(span, resource={"host.name": "h", "n": 1}))
        sent.resource_spans[0].scope_spans[0].scope.version = "1.2"
        sent.resource_spans[0].scope_spans[0].schema_url = "https://example.com/1"
        message = sent.resource_spans[0].scope_spans[0].spans[0]
        message.trace_state, message.flags, message.dropped_attributes_count = "a=b", 257, 3
        link = message.links.add(trace_id=b"1" * 16, span_id=b"2" * 8, trace_state="c=d")
        link.attributes.add(key="why", value=any_value("because"))
        (got,) = forwarded(sent.SerializeToString())
        (resource_spans,) = got.resource_spans
        assert of(resource_spans.resource.attributes) == of(sent.resource_spans[0].resource.attributes)
        (scope_spans,) = resource_spans.scope_spans
        assert scope_spans.scope == sent.resource_spans[0].scope_spans[0].scope
        assert scope_spans.schema_url == "https://example.com/1"
        (received,) = scope_spans.spans
        attributes = of(received.attributes)
        assert attributes.pop(attr.ATTRIBUTION_EVIDENCE_LEVEL).string_value == "missing"
        assert attributes == {key: any_value(value) for key, value in values.items()}
        assert {each.name: of(each.attributes) for each in received.events} == {
            "happened": {"n": any_value(2), "s": any_value("t")}
        }
        assert list(received.links) == list(message.links)
        for each in (received, message):
            each.ClearField("attributes")
            each.ClearField("events")
        assert received == message

    def test_it_is_redacted_and_enriched(self) -> None:
        deep: dict[str, Value] = {"inner": [SECRET]}
        said = attribution("execute_tool")
        said |= {"note": f"key {SECRET}", "deep": deep, attr.ATTRIBUTION_EVIDENCE_LEVEL: "verified"}
        dialect: dict[str, Value] = {"openinference.span.kind": "TOOL", "tool.name": "search"}
        (got,) = forwarded(request(Sent(attributes=said, name=f"use {SECRET}"), Sent(attributes=dialect)))
        assert SECRET.encode() not in got.SerializeToString()
        ours, theirs = (of(span.attributes) for span in got.resource_spans[0].scope_spans[0].spans)
        assert ours["note"].string_value == "key [redacted]"
        assert ours["deep"] == any_value({"inner": ["[redacted]"]})
        assert ours[attr.ATTRIBUTION_EVIDENCE_LEVEL].string_value == "self_asserted"
        assert ours[attr.ATTRIBUTION_DELEGATION_CHAIN] == any_value(["alice@acme.example", "support-agent"])
        assert theirs["tool.name"].string_value == "search"
        assert theirs[attr.GEN_AI_TOOL_NAME].string_value == "search"
        assert theirs[attr.GEN_AI_OPERATION_NAME].string_value == "execute_tool"

    def test_resources_and_scopes_are_there_once(self) -> None:
        bodies = [request(Sent(), Sent(), service=name) for name in ("a", "b", "a")]
        (got,) = forwarded(*bodies)
        assert [len(each.scope_spans[0].spans) for each in got.resource_spans] == [4, 2]

    def test_what_is_large_is_sent_in_parts(self) -> None:
        spans = [Sent(attributes={"text": "x" * 300_000}) for _ in range(20)]
        found = list(encode.requests(pipeline.enriched([request(*spans)])))
        assert len(found) > 2
        assert max(map(len, found)) <= encode.MAX_REQUEST_BYTES
        ids = [
            span.span_id
            for each in found
            for span in ExportTraceServiceRequest.FromString(each).resource_spans[0].scope_spans[0].spans
        ]
        assert ids == [span.span_id for span in spans]


@dataclass
class Http:
    """An OTLP/HTTP endpoint that answers what it is told to."""

    url: str = ""
    answers: list[tuple[int, dict[str, str], Message | None]] = field(
        default_factory=list[tuple[int, dict[str, str], "Message | None"]]
    )
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list[tuple[dict[str, str], bytes]])


@pytest.fixture
def http() -> Generator[Http]:
    state = Http()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.got.append(({key.lower(): value for key, value in self.headers.items()}, body))
            status, headers, message = state.answers.pop(0) if state.answers else (200, {}, None)
            content = message.SerializeToString() if message is not None else b""
            self.send_response(status)
            for key, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def settings(url: str, protocol: str = "http/protobuf", **more: Any) -> ForwardSettings:
    return ForwardSettings(url=url, protocol=protocol, **more)


class TestHttp:
    def test_a_request_with_headers_and_compression(self, http: Http) -> None:
        endpoint = connect(settings(http.url, headers=SecretStr("authorization=Bearer%20t0ken, x-team=a")))
        assert endpoint.send(b"body").rejected_spans == 0
        connect(settings(http.url, compression="none")).send(b"plain")
        (headers, body), (_, plain) = http.got
        assert (headers["authorization"], headers["x-team"]) == ("Bearer t0ken", "a")
        assert (headers["content-type"], headers["content-encoding"]) == ("application/x-protobuf", "gzip")
        assert (gzip.decompress(body), plain) == (b"body", b"plain")
        endpoint.close()

    def test_partial_success(self, http: Http) -> None:
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = 3
        response.partial_success.error_message = f"too old\n{SECRET}"
        http.answers.append((200, {}, response))
        answer = connect(settings(http.url)).send(b"")
        assert (answer.rejected_spans, answer.message) == (3, "too old [redacted]")

    @pytest.mark.parametrize("status", [400, 413, 422])
    def test_what_is_refused_for_good(self, http: Http, status: int) -> None:
        http.answers.append((status, {}, status_pb2.Status(message="no such field")))
        with pytest.raises(EndpointRefusedError, match="no such field"):
            connect(settings(http.url)).send(b"")

    @pytest.mark.parametrize("status", [302, 401, 403, 404, 429, 500, 502, 503, 504])
    def test_what_is_tried_again(self, http: Http, status: int) -> None:
        http.answers.append((status, {"location": "http://127.0.0.1:9/"}, None))
        with pytest.raises(EndpointUnavailableError, match=str(status)) as caught:
            connect(settings(http.url)).send(b"")
        assert caught.value.retry_after_s == 0

    @pytest.mark.parametrize(
        ("retry_after", "seconds"),
        [("7", 7), ("99999", 300), ("-1", 0), ("soon", 0), ("Fri, 31 Dec 1999 23:59:59 GMT", 0)],
    )
    def test_retry_after(self, http: Http, retry_after: str, seconds: float) -> None:
        http.answers.append((503, {"retry-after": retry_after}, None))
        with pytest.raises(EndpointUnavailableError) as caught:
            connect(settings(http.url)).send(b"")
        assert caught.value.retry_after_s == seconds

    def test_one_that_does_not_answer_in_time(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            started_s = time.monotonic()
            with pytest.raises(EndpointUnavailableError, match="Timeout"):
                connect(settings(url, timeout_s=0.3)).send(b"")
            assert time.monotonic() - started_s < 3


class TestGrpc:
    @contextlib.contextmanager
    def endpoint(self, code: grpc.StatusCode, delay_s: int | None = None) -> Generator[str]:
        def refuse(_body: bytes, context: Any) -> bytes:
            if delay_s is not None:
                info = error_details_pb2.RetryInfo()
                info.retry_delay.seconds = delay_s
                status = status_pb2.Status(code=8, message="later")
                status.details.add().Pack(info)
                context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(code, "the endpoint's words")
            return b""

        library: Any = grpc
        server: Any = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
        path, _, name = METHOD.lstrip("/").rpartition("/")
        handlers = {name: library.unary_unary_rpc_method_handler(refuse)}
        server.add_generic_rpc_handlers((library.method_handlers_generic_handler(path, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"http://127.0.0.1:{port}"
        server.stop(None).wait()

    def test_retry_info_is_honoured(self) -> None:
        with self.endpoint(grpc.StatusCode.RESOURCE_EXHAUSTED, 9) as url:
            endpoint = connect(settings(url, "grpc"))
            with pytest.raises(EndpointUnavailableError, match="the endpoint's words") as caught:
                endpoint.send(request(Sent()))
            assert caught.value.retry_after_s == 9
            endpoint.close()

    @pytest.mark.parametrize(
        ("code", "error"),
        [
            (grpc.StatusCode.INVALID_ARGUMENT, EndpointRefusedError),
            (grpc.StatusCode.UNAUTHENTICATED, EndpointUnavailableError),
            (grpc.StatusCode.UNIMPLEMENTED, EndpointUnavailableError),
            (grpc.StatusCode.INTERNAL, EndpointUnavailableError),
        ],
    )
    def test_what_an_answer_means(self, code: grpc.StatusCode, error: type[WhodidError]) -> None:
        with self.endpoint(code) as url:
            endpoint = connect(settings(url, "grpc"))
            with pytest.raises(error):
                endpoint.send(request(Sent()))
            endpoint.close()


class TestSettings:
    @pytest.mark.parametrize(
        "url", ["collector:4317", "grpc://host:1", "http://", "http://u:p@host", "http://h/?k=v"]
    )
    def test_a_url_that_makes_no_sense(self, url: str) -> None:
        with pytest.raises(WhodidError, match=r"forward\.url") as caught:
            connect(settings(url))
        assert "u:p" not in str(caught.value)

    def test_headers(self) -> None:
        assert parse_headers(" A=1,b = x%2Cy ,") == {"a": "1", "b": "x,y"}
        with pytest.raises(WhodidError) as caught:
            parse_headers("s3cret")
        assert "s3cret" not in caught.value.cause


def send(running: Any, count: int) -> list[str]:
    spans = [Sent(name=f"span {number}") for number in range(count)]
    with grpc.insecure_channel(running.grpc) as channel:
        connected: Any = channel
        call = connected.unary_unary(METHOD)
        for span in spans:
            call(request(span), timeout=30)
    return [span.span_id.hex() for span in spans]


def received_ids(requests: list[Any]) -> list[str]:
    return [
        span.span_id.hex()
        for each in requests
        for resource_spans in each.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


QUICK = {"WHODID_SPOOL__FLUSH_AFTER_S": "0.1"}


def test_beside_the_store(tmp_path: Path) -> None:
    with (
        receiver() as other,
        service(tmp_path / "data", WHODID_FORWARD__URL=other.endpoint, **QUICK) as running,
    ):
        sent = send(running, 5)
        running.wait_until_stored()
        assert running.health()["forward"] == "ok"
        assert running.stop() == 0
        assert sorted(received_ids(other.requests)) == sorted(sent)
    assert stored_span_ids(f"chdb://{tmp_path / 'data' / 'store'}") == dict.fromkeys(sent, 1)


def test_an_endpoint_that_is_away_holds_up_nothing_and_gets_it_later(tmp_path: Path) -> None:
    """Over a restart, and what the store has is not stored again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    forward = QUICK | {"WHODID_FORWARD__URL": f"http://127.0.0.1:{port}"}
    data = tmp_path / "data"
    with service(data, **forward, WHODID_SPOOL__DRAIN_TIMEOUT_S="1") as running:
        sent = send(running, 5)
        deadline_s = time.monotonic() + 20
        while running.health()["forward"] != "away" or not list((data / "spool").glob("*.past-store")):
            assert time.monotonic() < deadline_s, running.said
            time.sleep(0.1)
        assert running.health()["store"] == "ok"
        assert running.said.count("cannot be used") == 1
        assert running.stop() == 0
    assert stored_span_ids(f"chdb://{data / 'store'}") == dict.fromkeys(sent, 1)
    variables = {"WHODID_RECEIVER__GRPC_PORT": str(port)}
    with service(tmp_path / "other", "--grpc-port", str(port), **variables) as other:
        with service(data, **forward) as running:
            running.wait_until_stored()
            assert running.stop() == 0
        other.wait_until_stored()
        assert other.stop() == 0
    assert stored_span_ids(f"chdb://{tmp_path / 'other' / 'store'}") == dict.fromkeys(sent, 1)
    assert stored_span_ids(f"chdb://{data / 'store'}") == dict.fromkeys(sent, 1)
    assert list((data / "spool").iterdir()) == []


def test_instead_of_the_store(tmp_path: Path) -> None:
    with receiver() as other:
        variables = QUICK | {"WHODID_STORE__URL": "none", "WHODID_FORWARD__URL": other.endpoint}
        with service(tmp_path / "data", **variables) as running:
            sent = send(running, 3)
            running.wait_until_stored()
            assert running.stop() == 0
        assert sorted(received_ids(other.requests)) == sorted(sent)
    assert not (tmp_path / "data" / "store").exists()


def test_over_http(tmp_path: Path, http: Http) -> None:
    variables = QUICK | {"WHODID_FORWARD__URL": http.url, "WHODID_FORWARD__PROTOCOL": "http/protobuf"}
    http.answers.append((503, {"retry-after": "1"}, None))
    with service(tmp_path / "data", **variables) as running:
        sent = send(running, 3)
        running.wait_until_stored()
        assert running.stop() == 0
    bodies = [gzip.decompress(body) for _, body in http.got]
    assert set(received_ids([ExportTraceServiceRequest.FromString(body) for body in bodies])) == set(sent)


def test_what_the_endpoint_refuses_is_in_quarantine(tmp_path: Path, http: Http) -> None:
    variables = QUICK | {"WHODID_FORWARD__URL": http.url, "WHODID_FORWARD__PROTOCOL": "http/protobuf"}
    http.answers.append((400, {}, status_pb2.Status(message="no such field")))
    with service(tmp_path / "data", **variables) as running:
        sent = send(running, 1)
        deadline_s = time.monotonic() + 20
        folder = tmp_path / "data" / "quarantine" / "forward"
        while not list(folder.glob("*.segment")):
            assert time.monotonic() < deadline_s, running.said
            time.sleep(0.05)
        (kept,) = folder.glob("*.segment")
        assert "no such field" in kept.with_suffix(".reason.txt").read_text()
        assert running.stop() == 0
    assert stored_span_ids(f"chdb://{tmp_path / 'data' / 'store'}") == dict.fromkeys(sent, 1)
