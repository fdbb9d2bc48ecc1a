"""Decode: OTLP requests as bytes to Arrow columns, many requests in one call."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2
from ptars import HandlerPool

from whodid.processor.arrow import Array, Table, pa, pc
from whodid.processor.batch import Attributes, Batch, Findings, Kind, Rows
from whodid.processor.errors import WhodidError
from whodid.processor.stages import any_value
from whodid.semconv.values import FindingRule

SPAN_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUS_CODES = ("UNSET", "OK", "ERROR")
MAP = pa.map_(pa.string(), pa.string())


class MalformedRequestError(WhodidError):
    """The bytes are no ExportTraceServiceRequest; sending them again will not help."""


def check(body: bytes) -> None:
    """Raises MalformedRequestError when the body cannot be decoded, before it is acknowledged."""
    try:
        trace_service_pb2.ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise MalformedRequestError(
            f"the request is no OTLP ExportTraceServiceRequest: {error}",
            "send what an OTLP exporter sends; OTLP/JSON needs content-type application/json",
        ) from error


def decode(requests: Sequence[bytes]) -> Batch:
    """A batch with every span of the requests, in their order.

    Raises MalformedRequestError when a request cannot be decoded.
    """
    try:
        record_batch: Any = _handler().list_to_record_batch(list(requests))
    except ValueError as error:
        raise MalformedRequestError(
            f"a request cannot be decoded: {error}", "`check` every request first"
        ) from error
    resource_lists = record_batch.column("resource_spans")
    resource_spans = resource_lists.flatten()
    scope_lists = pc.struct_field(resource_spans, "scope_spans")
    scope_spans = scope_lists.flatten()
    span_lists = pc.struct_field(scope_spans, "spans")
    scope_of_span = _parents(span_lists)
    resource_of_span = _parents(scope_lists)[scope_of_span]
    spans = span_lists.flatten()
    table, findings = _fields(spans)
    for name, column in _surroundings(resource_spans, resource_of_span, scope_spans, scope_of_span).items():
        table = table.append_column(name, column)
    return Batch(table, _long(pc.struct_field(spans, "attributes")), findings=findings)


@cache
def _handler() -> Any:
    """The decoder for OTLP's own descriptor, but with attribute values left as bytes for `any_value`."""
    pool = descriptor_pool.DescriptorPool()
    for module in (common_pb2, resource_pb2, trace_pb2, trace_service_pb2):
        file = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file)
        for message in file.message_type:
            for each in message.field:
                if message.name == "KeyValue" and each.name == "value":
                    each.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
                    each.ClearField("type_name")
        pool.Add(file)
    name = "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest"
    descriptor = pool.FindMessageTypeByName(name)
    pool_of_handlers: Any = HandlerPool([descriptor.file])
    return pool_of_handlers.get_for_message(descriptor)


def _parents(lists: Any) -> Rows:
    return np.asarray(pc.list_parent_indices(lists)).astype(np.int64)


def _fields(spans: Any) -> tuple[Table, tuple[Findings, ...]]:
    """What OTLP defines for a span, and what is wrong with its ids."""
    status = pc.struct_field(spans, "status")
    trace_ids, bad_trace_ids = _ids(pc.struct_field(spans, "trace_id"), 16)
    span_ids, bad_span_ids = _ids(pc.struct_field(spans, "span_id"), 8)
    parent_ids, bad_parent_ids = _ids(pc.struct_field(spans, "parent_span_id"), 8, optional=True)
    columns: dict[str, Any] = {
        "trace_id": trace_ids,
        "span_id": span_ids,
        "parent_span_id": parent_ids,
        "name": pc.struct_field(spans, "name"),
        "kind": _labels(pc.struct_field(spans, "kind"), SPAN_KINDS),
        "start_time": _times(pc.struct_field(spans, "start_time_unix_nano")),
        "end_time": _times(pc.struct_field(spans, "end_time_unix_nano")),
        "status_code": _labels(pc.struct_field(status, "code"), STATUS_CODES),
        "status_message": pc.fill_null(pc.struct_field(status, "message"), ""),
        "trace_state": pc.struct_field(spans, "trace_state"),
        "flags": pc.struct_field(spans, "flags"),
        "dropped_attributes_count": pc.struct_field(spans, "dropped_attributes_count"),
        "dropped_events_count": pc.struct_field(spans, "dropped_events_count"),
        "dropped_links_count": pc.struct_field(spans, "dropped_links_count"),
        **_events(pc.struct_field(spans, "events")),
        **_links(pc.struct_field(spans, "links")),
    }
    findings = tuple(
        Findings(
            FindingRule.INVALID_ID,
            name,
            f"{name} has another length, or is all zeros; expected {size} bytes",
            rows,
        )
        for name, size, rows in (
            ("trace_id", 16, bad_trace_ids),
            ("span_id", 8, bad_span_ids),
            ("parent_span_id", 8, bad_parent_ids),
        )
        if len(rows)
    )
    return pa.table(columns), findings


def _ids(values: Any, size: int, *, optional: bool = False) -> tuple[Array, Rows]:
    """Ids of one size, cut or filled with zeros where they are not, and the rows where they were not."""
    lengths = np.asarray(pc.binary_length(values))
    bad = lengths != size
    if optional:
        bad &= lengths != 0
    else:
        bad |= np.asarray(pc.equal(values, bytes(size)))
    if (lengths == size).all():
        return values.cast(pa.binary(size)), np.flatnonzero(bad)
    fixed = [value[:size].ljust(size, b"\0") for value in values.to_pylist()]
    return pa.array(fixed, pa.binary(size)), np.flatnonzero(bad)


def _labels(codes: Any, labels: tuple[str, ...]) -> Array:
    """An enum's labels; a number that OTLP does not define keeps its number."""
    known = pc.and_(pc.greater_equal(codes, 0), pc.less(codes, len(labels)))
    named = pa.array(labels).take(pc.if_else(pc.fill_null(known, False), codes, 0))
    codes = pc.fill_null(codes, 0)
    return pc.if_else(pc.fill_null(known, True), named, codes.cast(pa.string()))


def _times(nanoseconds: Any) -> Array:
    """UTC times; what lies beyond Arrow's last nanosecond (2262) becomes that nanosecond."""
    last = pa.scalar(2**63 - 1, pa.uint64())
    return pc.min_element_wise(nanoseconds, last).cast(pa.int64()).cast(pa.timestamp("ns", tz="UTC"))


def _events(lists: Any) -> dict[str, Any]:
    events = lists.flatten()
    strings, others = maps(_long(pc.struct_field(events, "attributes")))
    return {
        "events.time": _relist(lists, _times(pc.struct_field(events, "time_unix_nano"))),
        "events.name": _relist(lists, pc.struct_field(events, "name")),
        "events.attributes": _relist(lists, strings),
        "events.attributes_other": _relist(lists, others),
    }


def _links(lists: Any) -> dict[str, Any]:
    links = lists.flatten()
    strings, others = maps(_long(pc.struct_field(links, "attributes")))
    return {
        "links.trace_id": _relist(lists, _ids(pc.struct_field(links, "trace_id"), 16)[0]),
        "links.span_id": _relist(lists, _ids(pc.struct_field(links, "span_id"), 8)[0]),
        "links.trace_state": _relist(lists, pc.struct_field(links, "trace_state")),
        "links.attributes": _relist(lists, strings),
        "links.attributes_other": _relist(lists, others),
    }


def _relist(lists: Any, values: Any) -> Array:
    """The same lists with other values in them."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)


def _surroundings(
    resource_spans: Any, resource_of_span: Rows, scope_spans: Any, scope_of_span: Rows
) -> dict[str, Array]:
    """What a span has from its resource and its scope."""
    resource = pc.struct_field(resource_spans, "resource")
    scope = pc.struct_field(scope_spans, "scope")
    by_resource, by_scope = pa.array(resource_of_span), pa.array(scope_of_span)
    resource_attributes = _long(pc.struct_field(resource, "attributes"))
    resource_strings, resource_others = maps(resource_attributes)
    scope_strings, scope_others = maps(_long(pc.struct_field(scope, "attributes")))
    names = resource_attributes.strings("service.name")
    service_names = pa.nulls(len(resource_spans), pa.string()) if names is None else names
    scope_url = pc.struct_field(scope_spans, "schema_url").take(by_scope)
    resource_url = pc.struct_field(resource_spans, "schema_url").take(by_resource)
    return {
        "service_name": pc.fill_null(service_names, "").take(by_resource),
        "resource_attributes": resource_strings.take(by_resource),
        "resource_attributes_other": resource_others.take(by_resource),
        "scope_name": pc.fill_null(pc.struct_field(scope, "name"), "").take(by_scope),
        "scope_version": pc.fill_null(pc.struct_field(scope, "version"), "").take(by_scope),
        "scope_attributes": scope_strings.take(by_scope),
        "scope_attributes_other": scope_others.take(by_scope),
        # OTLP: the scope's schema URL holds for its spans, the resource's where the scope has none.
        "schema_url": pc.if_else(pc.equal(scope_url, ""), resource_url, scope_url),
    }


def _long(lists: Any) -> Attributes:
    """Lists of KeyValue, one list an owner, in long form."""
    owners = _parents(lists)
    entries = lists.flatten()
    kinds, texts = any_value.read(pc.struct_field(entries, "value"))
    encoded = pc.struct_field(entries, "key").dictionary_encode()
    keys: list[str] = encoded.dictionary.to_pylist()
    names = sorted(keys)
    rank = {name: position for position, name in enumerate(names)}
    ranks = np.array([rank[key] for key in keys], dtype=np.int32)
    codes = ranks[np.asarray(encoded.indices)] if len(keys) else np.zeros(0, dtype=np.int32)
    order = np.argsort(codes, kind="stable")
    return Attributes(
        len(lists), owners[order], codes[order], kinds[order], texts.take(pa.array(order)), tuple(names)
    )


def maps(attributes: Attributes, leave_out: Any = None) -> tuple[Array, Array]:
    """Per owner two maps, of its strings and of everything else as JSON, each sorted by key.

    `leave_out`: a mask of the entries that go into neither.
    """
    is_string = attributes.kinds == Kind.STRING
    keep = np.ones(len(is_string), dtype=np.bool_) if leave_out is None else ~leave_out
    return _map(attributes, is_string & keep), _map(attributes, ~is_string & keep)


def _map(attributes: Attributes, chosen: Any) -> Array:
    entries = np.flatnonzero(chosen)
    # The entries are sorted by key; a stable sort by owner keeps that order within each owner.
    entries = entries[np.argsort(attributes.owners[entries], kind="stable")]
    lengths = np.bincount(attributes.owners[entries], minlength=attributes.owner_count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    names = pa.array(attributes.names, pa.string())
    keys = names.take(pa.array(attributes.codes[entries]))
    return pa.MapArray.from_arrays(pa.array(offsets), keys, attributes.texts.take(pa.array(entries)))
