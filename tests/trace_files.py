"""Files with traces as other programs write them: the SDK's encoder, and the collector's file exporter."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from typing import Any, cast

from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from whodid.processor.arrow import pa

Attributes = dict[str, Any]


def encoded(*spans: tuple[str, Attributes]) -> bytes:
    """Spans by name, ended by the real SDK and serialized by its own encoder."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({"service.name": "orders"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for name, attributes in spans:
        with provider.get_tracer("tests", "1.0").start_as_current_span(name, attributes=attributes):
            pass
    return encode_spans(exporter.get_finished_spans()).SerializeToString()


def as_json(body: bytes, indent: int | None = None) -> bytes:
    """A request as OTLP/JSON: ids in hex, enums as integers, 64-bit integers as strings."""
    message = ExportTraceServiceRequest.FromString(body)
    document = json_format.MessageToDict(message, use_integers_for_enums=True)
    _hex_ids(document)
    return json.dumps(document, indent=indent).encode()


def _hex_ids(node: Any) -> None:
    if isinstance(node, list):
        for each in cast("list[Any]", node):
            _hex_ids(each)
    elif isinstance(node, dict):
        fields = cast("dict[str, Any]", node)
        for name, value in fields.items():
            if name in ("traceId", "spanId", "parentSpanId"):
                fields[name] = base64.b64decode(value).hex()
            else:
                _hex_ids(value)


def lines(*bodies: bytes) -> bytes:
    """What the collector's file exporter writes with `format: json`."""
    return b"".join(as_json(body) + b"\n" for body in bodies)


def frames(*messages: bytes) -> bytes:
    """What it writes with `format: proto`: before each message its length in 4 bytes, big-endian."""
    return b"".join(len(message).to_bytes(4, "big") + message for message in messages)


def zstd(content: bytes) -> bytes:
    packed: bytes = pa.compress(content, codec="zstd", asbytes=True)
    return packed


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "gzip": gzip.compress,
    "zstd": zstd,
}
