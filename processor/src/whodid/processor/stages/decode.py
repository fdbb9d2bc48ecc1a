"""Decode: OTLP requests as bytes to Arrow columns, many requests in one call."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from whodid.processor.arrow import Array, Strings, Table, pa, pc
from whodid.processor.batch import Attributes, Batch, Findings, Kind, Rows
from whodid.processor.bodies import Bodies, Bytes, Requests
from whodid.processor.errors import WhodidError
from whodid.processor.stages import any_value, columns, scan, wire
from whodid.semconv.values import FindingRule

SPAN_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
STATUS_CODES = ("UNSET", "OK", "ERROR")
MAP = pa.map_(pa.string(), pa.string())

_SEED = secrets.randbits(62)

Cells = npt.NDArray[np.int64]


class MalformedRequestError(WhodidError):
    """The bytes are no ExportTraceServiceRequest; sending them again will not help."""


class TooManySpansError(MalformedRequestError):
    """The request is one, but holds more than may be in one."""


@dataclass(frozen=True, slots=True)
class _Scanned:
    """The requests' bytes, and where in them everything is (`wire` names the tables' columns)."""

    data: Bytes
    tables: wire.Tables

    def texts(self, table: Cells, column: int) -> Strings:
        return columns.strings(self.data, table[:, column], table[:, column + 1])


def check(body: bytes, max_spans: int = 0, max_copied_bytes: int = 0) -> int:
    """How many bytes of resources and scopes will be copied to the request's spans: to each its own.

    Raises MalformedRequestError when the body cannot be decoded, before it is acknowledged. And when it holds
    more than `max_spans` spans, events, links, scopes or resources, or more is to be copied than
    `max_copied_bytes`; 0: any number.
    """
    scanned = _scanned([body], max_spans) or _scanned([_plain(body)], max_spans)
    copied_bytes = _copied_bytes(scanned.tables) if scanned is not None else 0
    if max_copied_bytes and copied_bytes > max_copied_bytes:
        raise TooManySpansError(
            f"the request's resources and scopes, stored with each of their spans, are {copied_bytes} bytes; "
            f"{max_copied_bytes} are allowed",
            "send fewer spans a request or smaller resources, or raise limits.max_copied_bytes",
        )
    return copied_bytes


def _copied_bytes(tables: wire.Tables) -> int:
    """A request of 16 MiB can have 8 MiB of resource for each of 100,000 spans: 800 GiB as rows."""
    spans_of_scope = np.bincount(tables.spans[:, wire.SPAN_SCOPE], minlength=len(tables.scopes))
    of_resource = tables.resources[tables.scopes[:, wire.SCOPE_RESOURCE], wire.RESOURCE_BYTES]
    return int(spans_of_scope @ (of_resource + tables.scopes[:, wire.SCOPE_BYTES]))


def decode(requests: Requests) -> Batch:
    """A batch with every span of the requests, in their order.

    Raises MalformedRequestError when a request cannot be decoded.
    """
    scanned = _scanned(requests) or _scanned([_readable(body) for body in requests])
    if scanned is None:
        raise MalformedRequestError("a request cannot be decoded", "`check` every request first")
    table, findings = _fields(scanned)
    attributes = _by_owner(scanned)
    for name, column in _surroundings(scanned, attributes).items():
        table = table.append_column(name, column)
    return Batch(table, attributes[wire.SPANS], findings=findings)


def _scanned(requests: Requests, max_spans: int = 0) -> _Scanned | None:
    """None where the compiled walk declines one of them. Raises TooManySpansError."""
    bodies = Bodies.of(requests)
    data, bounds = bodies.data, bodies.bounds
    counts = wire.counts()
    counted = all(wire.count(data, start, end, counts) for start, end in bounds)
    # Before there is any memory for them: a span takes 100 times as much there as the shortest one here.
    if max_spans and max(counts[owner] for owner in wire.OWNERS) > max_spans:
        raise TooManySpansError(
            f"the request holds more than {max_spans} spans, events, links, scopes or resources",
            "let the exporter send smaller batches, or raise limits.max_spans",
        )
    if not counted:
        return None
    tables = wire.tables(counts, _SEED)
    if not all(scan.scan(data, start, end, tables) for start, end in bounds):
        return None
    return _Scanned(data, tables)


def _readable(body: bytes) -> bytes:
    """The request as it is where `check` took it so, and otherwise rewritten. Raises as `_plain` does."""
    return _plain(body) if _scanned([body]) is None else body


def _plain(body: bytes) -> bytes:
    """The request as an encoder would have written it, by protobuf's own parser, without what OTLP lacks.

    Raises MalformedRequestError where that cannot read it either.
    """
    hint = "send what an OTLP exporter sends; OTLP/JSON needs content-type application/json"
    try:
        message = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise MalformedRequestError(
            f"the request is no OTLP ExportTraceServiceRequest: {error}", hint
        ) from error
    message.DiscardUnknownFields()
    written = message.SerializeToString()
    if _scanned([written]) is None:
        deepest = wire.MAX_DEPTH // 2
        raise MalformedRequestError(
            f"an attribute's value is nested more than {deepest} deep", "send it as text"
        )
    return written


def _fields(scanned: _Scanned) -> tuple[Table, tuple[Findings, ...]]:
    """What OTLP defines for a span, and what is wrong with its ids."""
    spans = scanned.tables.spans
    trace_ids, bad_trace_ids = _ids(scanned, spans, wire.SPAN_TRACE_ID, 16)
    span_ids, bad_span_ids = _ids(scanned, spans, wire.SPAN_ID, 8)
    parent_ids, bad_parent_ids = _ids(scanned, spans, wire.SPAN_PARENT_ID, 8, optional=True)
    table: dict[str, Any] = {
        "trace_id": trace_ids,
        "span_id": span_ids,
        "parent_span_id": parent_ids,
        "name": scanned.texts(spans, wire.SPAN_NAME),
        "kind": _labels(spans[:, wire.SPAN_KIND], SPAN_KINDS),
        "start_time": _times(spans[:, wire.SPAN_START]),
        "end_time": _times(spans[:, wire.SPAN_END]),
        "status_code": _labels(spans[:, wire.SPAN_CODE], STATUS_CODES),
        "status_message": scanned.texts(spans, wire.SPAN_MESSAGE),
        "trace_state": scanned.texts(spans, wire.SPAN_STATE),
        "flags": _unsigned(spans[:, wire.SPAN_FLAGS]),
        "dropped_attributes_count": _unsigned(spans[:, wire.SPAN_DROPPED_ATTRIBUTES]),
        "dropped_events_count": _unsigned(spans[:, wire.SPAN_DROPPED_EVENTS]),
        "dropped_links_count": _unsigned(spans[:, wire.SPAN_DROPPED_LINKS]),
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
    return pa.table(table), findings


def _ids(
    scanned: _Scanned, table: Cells, column: int, size: int, *, optional: bool = False
) -> tuple[Array, Rows]:
    """Ids of one size, cut or filled with zeros where they are not, and the rows where they were not."""
    lengths = table[:, column + 1]
    ids = columns.fixed(scanned.data, table[:, column], lengths, size)
    bad = lengths != size
    if optional:
        bad &= lengths != 0
    else:
        bad |= ~np.frombuffer(ids.buffers()[1], dtype=np.uint8).reshape(-1, size).any(axis=1)
    return ids, np.flatnonzero(bad)


def _labels(codes: Cells, labels: tuple[str, ...]) -> Array:
    """An enum's labels; a number that OTLP does not define keeps its number."""
    known = (codes >= 0) & (codes < len(labels))
    named = pa.array(labels).take(pa.array(np.where(known, codes, 0)))
    if known.all():
        return named
    return pc.if_else(pa.array(known), named, pa.array(codes).cast(pa.string()))


def _unsigned(values: Cells) -> Array:
    return pa.array(values.astype(np.uint32))


def _times(nanoseconds: Cells) -> Array:
    """UTC times; what lies beyond Arrow's last nanosecond (2262) becomes that nanosecond."""
    clamped = np.where(nanoseconds < 0, 2**63 - 1, nanoseconds)  # unsigned on the wire
    return pa.array(clamped).cast(pa.timestamp("ns", tz="UTC"))


def _relist(owners: Cells, owner_count: int, values: Any) -> Array:
    """A list an owner; the values stand in the order of their owners."""
    return pa.ListArray.from_arrays(pa.array(_offsets(owners, owner_count)), values)


def _offsets(owners: Cells, owner_count: int) -> npt.NDArray[np.int32]:
    lengths = np.bincount(owners, minlength=owner_count)
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)


def _by_owner(scanned: _Scanned) -> list[Attributes]:
    """The attributes of each table's rows, in the order of `wire`'s tables."""
    tables = scanned.tables
    places = tables.keys[: tables.used[wire.KEYS]].astype(np.int64)
    keys: list[str] = columns.strings(scanned.data, places[:, 0], places[:, 1]).to_pylist()
    names = tuple(sorted(keys))
    rank = {name: position for position, name in enumerate(names)}
    ranks = np.array([rank[key] for key in keys], dtype=np.int64)
    owners = (tables.spans, tables.resources, tables.scopes, tables.events, tables.links)
    return [_long(scanned, table, len(owners[table]), names, ranks) for table in wire.OWNERS]


def _surroundings(scanned: _Scanned, attributes: Sequence[Attributes]) -> dict[str, Array]:
    """What a span has from its resource and its scope, and its events and links."""
    span_count = len(scanned.tables.spans)
    scope_of_span = scanned.tables.spans[:, wire.SPAN_SCOPE]
    by_scope = pa.array(scope_of_span)
    by_resource = pa.array(scanned.tables.scopes[:, wire.SCOPE_RESOURCE][scope_of_span])
    names = attributes[wire.RESOURCES].strings("service.name")
    service_names = pa.nulls(len(scanned.tables.resources), pa.string()) if names is None else names
    resource_strings, resource_others = maps(attributes[wire.RESOURCES])
    scope_strings, scope_others = maps(attributes[wire.SCOPES])
    scope_url = scanned.texts(scanned.tables.scopes, wire.SCOPE_URL).take(by_scope)
    resource_url = scanned.texts(scanned.tables.resources, wire.RESOURCE_URL).take(by_resource)
    return {
        "service_name": pc.fill_null(service_names, "").take(by_resource),
        "resource_attributes": _shared(by_resource, resource_strings),
        "resource_attributes_other": _shared(by_resource, resource_others),
        "scope_name": scanned.texts(scanned.tables.scopes, wire.SCOPE_NAME).take(by_scope),
        "scope_version": scanned.texts(scanned.tables.scopes, wire.SCOPE_VERSION).take(by_scope),
        "scope_attributes": _shared(by_scope, scope_strings),
        "scope_attributes_other": _shared(by_scope, scope_others),
        # OTLP: the scope's schema URL holds for its spans, the resource's where the scope has none.
        "schema_url": pc.if_else(pc.equal(scope_url, ""), resource_url, scope_url),
        **_events(scanned, attributes[wire.EVENTS], span_count),
        **_links(scanned, attributes[wire.LINKS], span_count),
    }


def _shared(which: Array, values: Array) -> Array:
    """Per span the value of what it is in; each value is there once, however many spans there are."""
    return pa.DictionaryArray.from_arrays(which, values)


def _events(scanned: _Scanned, attributes: Attributes, span_count: int) -> dict[str, Array]:
    events = scanned.tables.events
    owners = events[:, wire.EVENT_SPAN]
    strings, others = maps(attributes)
    return {
        "events.time": _relist(owners, span_count, _times(events[:, wire.EVENT_TIME])),
        "events.name": _relist(owners, span_count, scanned.texts(events, wire.EVENT_NAME)),
        "events.attributes": _relist(owners, span_count, strings),
        "events.attributes_other": _relist(owners, span_count, others),
    }


def _links(scanned: _Scanned, attributes: Attributes, span_count: int) -> dict[str, Array]:
    links = scanned.tables.links
    owners = links[:, wire.LINK_SPAN]
    strings, others = maps(attributes)
    return {
        "links.trace_id": _relist(owners, span_count, _ids(scanned, links, wire.LINK_TRACE_ID, 16)[0]),
        "links.span_id": _relist(owners, span_count, _ids(scanned, links, wire.LINK_ID, 8)[0]),
        "links.trace_state": _relist(owners, span_count, scanned.texts(links, wire.LINK_STATE)),
        "links.attributes": _relist(owners, span_count, strings),
        "links.attributes_other": _relist(owners, span_count, others),
    }


def _long(
    scanned: _Scanned, table: int, owner_count: int, names: tuple[str, ...], ranks: Cells
) -> Attributes:
    """The attributes of one table's rows in long form."""
    entries = scanned.tables.others if table else scanned.tables.entries
    count = int(np.count_nonzero(entries[:, wire.ENTRY_TABLE] == table)) if table else len(entries)
    owners, codes = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int32)
    kinds = np.empty(count, dtype=np.uint8)
    starts, sizes, order = (np.empty(count, dtype=np.int64) for _ in range(3))
    nexts = np.zeros(len(ranks) + 1, dtype=np.int64)
    columns.sort_entries(entries, table, ranks, nexts, order, owners, codes, kinds, starts, sizes)
    kinds, texts = any_value.texts(scanned.data, kinds, starts, sizes, order)
    return Attributes(owner_count, owners, codes, kinds, texts, names)


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
    entries = entries[columns.sorted_positions(attributes.owners[entries], attributes.owner_count)]
    offsets = _offsets(attributes.owners[entries], attributes.owner_count)
    names = pa.array(attributes.names, pa.string())
    keys = names.take(pa.array(attributes.codes[entries]))
    return pa.MapArray.from_arrays(pa.array(offsets), keys, attributes.texts.take(pa.array(entries)))
