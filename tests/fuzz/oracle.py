"""Protobuf's own parser as the judge of what is a request, and the smallest request that shows a defect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.fuzz.mutations import Field, parse, write

_EXPERIMENTAL = frozenset(("key_strindex", "string_value_strindex"))
"""Fields that OTLP's traces do not use yet. A decoder may skip them as unknown ones, whatever is in them."""


def read(body: bytes) -> Any | None:
    """The request as protobuf reads it, without experimental fields; None where it is none."""
    try:
        return _message_class().FromString(body)
    except DecodeError:
        return None


@cache
def _message_class() -> Any:
    pool = descriptor_pool.DescriptorPool()
    for module in (common_pb2, resource_pb2, trace_pb2, trace_service_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            kept = [each for each in message.field if each.name not in _EXPERIMENTAL]
            del message.field[:]
            message.field.extend(kept)
        pool.Add(file)
    name = "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def minimised(body: bytes, shows: Callable[[bytes], bool], tries: int = 3_000) -> bytes:
    """The body without every field and byte that the defect does not need, as far as `tries` get."""
    progress = True
    while progress and tries > 0:
        progress = False
        for smaller in _smaller(body):
            tries -= 1
            if tries <= 0:
                break
            if shows(smaller):
                body, progress = smaller, True
                break
    return body


def _smaller(body: bytes) -> Iterator[bytes]:
    top = parse(body)
    if top is not None:
        lists: list[list[Field]] = [top]
        for each in lists:
            for position in range(len(each)):
                removed = each.pop(position)
                yield write(top)
                each.insert(position, removed)
            lists += [field.value for field in each if isinstance(field.value, list)]
    for size in (len(body) // 2, len(body) // 8, 1):
        for at in range(0, len(body), max(1, size)):
            yield body[:at] + body[at + max(1, size) :]
