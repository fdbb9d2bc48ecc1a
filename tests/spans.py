"""Builds OTLP requests for tests: a span in a line, with any attribute that a test wants to be wrong."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from whodid.semconv import attributes as attr

Value = str | bool | int | float | bytes | list["Value"] | dict[str, "Value"] | None

_counter = itertools.count()


def any_value(value: Value) -> AnyValue:
    """An OTLP value of a Python one; None is the empty value."""
    encoded = AnyValue()
    if isinstance(value, bool):
        encoded.bool_value = value
    elif isinstance(value, int):
        encoded.int_value = value
    elif isinstance(value, float):
        encoded.double_value = value
    elif isinstance(value, str):
        encoded.string_value = value
    elif isinstance(value, bytes):
        encoded.bytes_value = value
    elif isinstance(value, list):
        encoded.array_value.values.extend(any_value(each) for each in value)
        encoded.array_value.SetInParent()
    elif isinstance(value, dict):
        encoded.kvlist_value.SetInParent()
        for key, each in value.items():
            encoded.kvlist_value.values.add(key=key, value=any_value(each))
    return encoded


@dataclass(kw_only=True)
class Sent:
    """A span to be sent."""

    name: str = "span"
    attributes: dict[str, Value] = field(default_factory=dict[str, Value])
    trace_id: bytes = field(default_factory=lambda: os.urandom(16))
    span_id: bytes = field(default_factory=lambda: os.urandom(8))
    parent_id: bytes = b""
    # One after the other: a decision that a test makes before its action is over when the action begins.
    start_ns: int = field(default_factory=lambda: time.time_ns() + next(_counter) * 2_000_000)
    duration_ns: int = 1_000_000
    kind: trace_pb2.Span.SpanKind.ValueType = trace_pb2.Span.SPAN_KIND_INTERNAL
    error: bool = False
    events: dict[str, dict[str, Value]] = field(default_factory=dict[str, dict[str, Value]])
    links: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    """The trace and span ids that it links to."""

    def message(self) -> trace_pb2.Span:
        span = trace_pb2.Span(
            name=self.name,
            trace_id=self.trace_id,
            span_id=self.span_id,
            parent_span_id=self.parent_id,
            start_time_unix_nano=self.start_ns,
            end_time_unix_nano=self.start_ns + self.duration_ns,
            kind=self.kind,
        )
        for key, value in self.attributes.items():
            span.attributes.add(key=key, value=any_value(value))
        for name, attributes in self.events.items():
            event = span.events.add(name=name, time_unix_nano=self.start_ns)
            for key, value in attributes.items():
                event.attributes.add(key=key, value=any_value(value))
        for trace_id, span_id in self.links:
            span.links.add(trace_id=trace_id, span_id=span_id)
        if self.error:
            span.status.code = trace_pb2.Status.STATUS_CODE_ERROR
        return span


def request(
    *spans: Sent, service: str = "tests", scope: str = "tests", resource: dict[str, Value] | None = None
) -> bytes:
    """One serialized ExportTraceServiceRequest; `resource` are attributes beside the service's name."""
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    for key, value in {"service.name": service, **(resource or {})}.items():
        resource_spans.resource.attributes.add(key=key, value=any_value(value))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = scope
    scope_spans.spans.extend(span.message() for span in spans)
    return message.SerializeToString()


def attribution(operation: str, *, user: str = "alice@acme.example", **more: Value) -> dict[str, Value]:
    """Everything that a span of an operation on behalf of `user` has to say; `more` by constants' names."""
    said: dict[str, Value] = {
        attr.GEN_AI_OPERATION_NAME: operation,
        attr.GEN_AI_AGENT_NAME: "support-agent",
        attr.ATTRIBUTION_AGENT_INSTANCE_ID: "support-agent:1",
        attr.ATTRIBUTION_INITIATOR_TYPE: "human",
        attr.ATTRIBUTION_INITIATOR_ID: user,
        attr.ATTRIBUTION_PRINCIPAL_TYPE: "human",
        attr.ATTRIBUTION_PRINCIPAL_ID: user,
        attr.ATTRIBUTION_DELEGATION_CHAIN: [user, "support-agent"],
        attr.ATTRIBUTION_TASK_ID: "task-1",
    }
    if operation in ("execute_tool", "evaluate_policy"):
        said |= {
            attr.GEN_AI_TOOL_NAME: "lookup_order",
            attr.GEN_AI_TOOL_CALL_ID: "call-1",
            attr.ATTRIBUTION_ACTION_ID: "action-1",
            attr.ATTRIBUTION_ACTION_MODE: "autonomous",
        }
    if operation == "evaluate_policy":
        said |= {
            attr.ATTRIBUTION_POLICY_DECISION_ID: "decision-1",
            attr.ATTRIBUTION_POLICY_DECISION_OUTCOME: "allow",
            attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION: "allowed",
            attr.ATTRIBUTION_POLICY_ENGINE_NAME: "cedar",
            attr.ATTRIBUTION_POLICY_CONTEXT_HASH: f"sha256:{'0' * 63}1",
        }
    return said | {str(getattr(attr, name)): value for name, value in more.items()}


def garbage(size_bytes: int) -> bytes:
    """Random bytes that are no protobuf. Of those alone one in a thousand is a message of unknown fields."""
    return b"\xff" * 10 + os.urandom(size_bytes - 10)
