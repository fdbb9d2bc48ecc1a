"""The question *span*: all that is stored of one span; content only for who asks for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from pydantic import Field

from whodid.semconv.definitions import Column
from whodid.semconv.registry import ATTRIBUTES, RULES
from whodid.semconv.values import EvidenceLevel
from whodid.store.questions.content import is_content
from whodid.store.questions.lookup import UnknownIdError
from whodid.store.questions.question import Parameters, Question
from whodid.store.questions.spans import Span, Spans, findings, rfc3339, sent_differently, times_between
from whodid.store.records import Record
from whodid.store.surroundings import NOT_JSON

if TYPE_CHECKING:
    from whodid.store.reader import Reader

MAX_COPIES = 20
"""How many copies of a span are looked at."""

_KINDS = ((bool, "bool"), (int, "int"), (float, "double"), (list, "array"), (str, "string"))
"""What JSON holds beside maps; a bool is an int too."""

_TYPES = {Column.ARRAY: "array", Column.INT: "int"}


class SpanParameters(Parameters):
    """What `span` is asked with."""

    trace_id: str = Field(max_length=1024, description="The trace's id: 32 hexadecimal digits.")
    span_id: str = Field(max_length=1024, description="The span's id: 16 hexadecimal digits.")
    content: bool = Field(
        default=False,
        description="Also tell content: prompts, answers, arguments and results of tools, texts of errors. "
        "Without it only their names and sizes are told.",
    )


class StoredAttribute(Record):
    """An attribute as it is stored."""

    name: str
    type: str
    """`string`, `int`, `double`, `bool`, `array`, `map`, `bytes` or `empty`."""
    value: Any
    """Bytes are `{"$bytes": base64}`; None where it is withheld."""
    withheld: bool
    """It is content, which was not asked for."""
    size_bytes: int
    """Of its text in UTF-8; of what is no text, of its JSON."""
    evidence: EvidenceLevel | None
    """Of what the registry knows: whether the parent says the same. None for all else."""


class StoredEvent(Record):
    """An event of the span."""

    at: str
    """RFC 3339, UTC."""
    name: str
    attributes: list[StoredAttribute]


class StoredLink(Record):
    """A link to another span."""

    trace_id: str
    span_id: str
    trace_state: str
    attributes: list[StoredAttribute]


class SpanFinding(Record):
    """What the validator found wrong with the span."""

    rule: str
    severity: str
    attribute: str
    message: str | None
    """None where it is about content, which was not asked for."""
    controls: list[str]


class SpanRecord(Record):
    """Everything that is stored of one span."""

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    service: str
    started_at: str
    """RFC 3339, UTC."""
    ended_at: str
    duration_ms: float
    status: str
    status_message: StoredAttribute | None
    trace_state: str
    flags: int
    dialect: str | None
    """Whose words it was sent in, where these are not the conventions' own."""
    scope_name: str
    scope_version: str
    schema_url: str
    attributes: list[StoredAttribute]
    resource: list[StoredAttribute]
    scope: list[StoredAttribute]
    events: list[StoredEvent]
    links: list[StoredLink]
    dropped_attributes_count: int
    dropped_events_count: int
    dropped_links_count: int
    findings: list[SpanFinding]
    copy_count: int
    """How often it is in the store."""
    withheld_count: int
    """How many attributes are not told because they are content."""
    gaps: list[str]


def span(reader: Reader, parameters: SpanParameters) -> SpanRecord:
    """The span with these ids.

    Raises UnknownIdError.
    """
    trace_id, span_id = parameters.trace_id.lower(), parameters.span_id.lower()
    if not re.fullmatch(r"[0-9a-f]{32}", trace_id) or not re.fullmatch(r"[0-9a-f]{16}", span_id):
        raise UnknownIdError(
            f"{parameters.trace_id!r} and {parameters.span_id!r} are not the ids of a trace and a span",
            "32 and 16 hexadecimal digits; `whodid who` takes other ids and names both",
        )
    copies = Spans(_rows(reader, trace_id, span_id))
    if not copies.all:
        raise UnknownIdError(
            f"no span {span_id} of trace {trace_id} is in the store",
            "check the ids, and that the agent sends here",
        )
    found = copies.all[0]
    parents = _rows(reader, trace_id, found.parent_id) if found.parent_id else []
    return _Told(Spans([found.row, *parents]), found, content=parameters.content).record(reader, copies)


def _rows(reader: Reader, trace_id: str, span_id: str) -> list[dict[str, Any]]:
    return reader.rows("span", {"trace": trace_id, "spans": [span_id], "limit": MAX_COPIES})


class _Told:
    """One span as it may be told."""

    def __init__(self, family: Spans, found: Span, *, content: bool) -> None:
        self._span = found
        self._row = found.row
        self._content = content
        self._parent = family.parent(found)
        self._above = dict(_pairs(self._parent.row)) if self._parent else {}
        self._withheld = 0

    def record(self, reader: Reader, copies: Spans) -> SpanRecord:
        row = self._row
        return SpanRecord(
            trace_id=self._span.trace_id,
            span_id=self._span.id,
            parent_span_id=self._span.parent_id,
            name=row["name"],
            kind=row["kind"],
            service=row["service_name"],
            started_at=self._span.started_at,
            ended_at=self._span.ended_at,
            duration_ms=self._span.duration_ms,
            status=row["status_code"],
            trace_state=row["trace_state"],
            flags=row["flags"],
            dialect=row["dialect"] or None,
            scope_name=row["scope_name"],
            scope_version=row["scope_version"],
            schema_url=row["schema_url"],
            dropped_attributes_count=row["dropped_attributes_count"],
            dropped_events_count=row["dropped_events_count"],
            dropped_links_count=row["dropped_links_count"],
            copy_count=1 + len(copies.again),
            attributes=[self._attribute(name, value, judged=True) for name, value in _pairs(row)],
            resource=self._object("resource"),
            scope=self._object("scope"),
            events=self._events(),
            links=self._links(),
            status_message=self._status_message(),
            findings=self._findings(reader, copies),
            # Behind all that may be withheld.
            withheld_count=self._withheld,
            gaps=self._gaps(reader, copies),
        )

    def _attribute(
        self, name: str, value: tuple[str, Any, str], *, judged: bool = False, event: str = ""
    ) -> StoredAttribute:
        kind, plain, text = value
        withheld = not self._content and is_content(name, text, event=event)
        self._withheld += withheld
        return StoredAttribute(
            name=name,
            type=kind,
            value=None if withheld else plain,
            withheld=withheld,
            size_bytes=len(text.encode()),
            evidence=self._evidence(name, plain) if judged and name in ATTRIBUTES else None,
        )

    def _evidence(self, name: str, plain: Any) -> EvidenceLevel:
        above = self._above.get(name)
        if above is not None and above[1] == plain:
            return EvidenceLevel.PROPAGATED
        return EvidenceLevel.SELF_ASSERTED

    def _object(self, column: str) -> list[StoredAttribute]:
        return [self._attribute(name, value) for name, value in _of_object(self._row[column])]

    def _events(self) -> list[StoredEvent]:
        row = self._row
        columns = ("event_times_ns", "events.name", "events.attributes", "events.attributes_other")
        return [
            StoredEvent(
                at=rfc3339(at_ns),
                name=name,
                attributes=[
                    self._attribute(each, value, event=name) for each, value in _of_maps(texts, others)
                ],
            )
            for at_ns, name, texts, others in zip(*(row[column] for column in columns), strict=True)
        ]

    def _links(self) -> list[StoredLink]:
        row = self._row
        columns = (
            "link_traces",
            "link_spans",
            "links.trace_state",
            "links.attributes",
            "links.attributes_other",
        )
        return [
            StoredLink(
                trace_id=trace,
                span_id=id_,
                trace_state=state,
                attributes=[self._attribute(each, value) for each, value in _of_maps(texts, others)],
            )
            for trace, id_, state, texts, others in zip(*(row[column] for column in columns), strict=True)
        ]

    def _status_message(self) -> StoredAttribute | None:
        text: str = self._row["status_message"]
        return self._attribute("status_message", ("string", text, text)) if text else None

    def _findings(self, reader: Reader, copies: Spans) -> list[SpanFinding]:
        return [
            SpanFinding(
                rule=each.rule,
                severity=each.severity,
                attribute=each.attribute,
                # It quotes what is wrong.
                message=each.message if self._content or not is_content(each.attribute) else None,
                controls=list(RULES[each.rule].controls) if each.rule in RULES else [],
            )
            for each in findings(reader, [self._span.trace_id], times_between([*copies.all, *copies.again]))
            if each.span == self._span.id
        ]

    def _gaps(self, reader: Reader, copies: Spans) -> list[str]:
        gaps: list[str] = []
        if self._span.parent_id is not None and self._parent is None:
            gaps.append(f"its parent, {self._span.parent_id}, is not in the store")
        if copies.again and sent_differently(reader, copies):
            gaps.append("it was sent again with different content; the first is told")
        gaps += [
            f"its sender dropped {self._row[f'dropped_{what}_count']} {what}"
            for what in ("attributes", "events", "links")
            if self._row[f"dropped_{what}_count"]
        ]
        if self._withheld:
            gaps.append(f"{self._withheld} attributes are content, and not told")
        return gaps


def _pairs(row: dict[str, Any]) -> list[tuple[str, tuple[str, Any, str]]]:
    """The attributes of a span: those that have columns, in the registry's order, and then the others."""
    found: list[tuple[str, tuple[str, Any, str]]] = []
    for attribute in ATTRIBUTES.values():
        value = row.get(attribute.column_name) if attribute.column else None
        if value is not None and value not in ("", []):
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            found.append(
                (attribute.name, (_TYPES.get(attribute.column or Column.STRING, "string"), value, text))
            )
    return [*found, *_of_maps(row["attributes"], row["attributes_other"])]


def _of_maps(texts: dict[str, str], others: dict[str, str]) -> Iterable[tuple[str, tuple[str, Any, str]]]:
    """The attributes of two maps: strings, and everything else as JSON."""
    for name, text in sorted(texts.items()):
        if name:
            yield name, ("string", text, text)
    for name, text in sorted(others.items()):
        if name:
            yield name, (*_parsed(text), text)


def _of_object(text: str) -> Iterable[tuple[str, tuple[str, Any, str]]]:
    """The attributes of a JSON object, as `surroundings` has those of a resource and a scope."""
    found: dict[str, Any] = json.loads(text or "{}")
    for name, value in sorted(found.items()):
        if not name:
            continue
        if isinstance(value, str):
            yield name, ("string", value, value)
            continue
        inner = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        written: str = inner[NOT_JSON] if list(inner) == [NOT_JSON] else json.dumps(value, ensure_ascii=False)
        yield name, (*_parsed(written), written)


def _parsed(text: str) -> tuple[str, Any]:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return "string", text
    found: object = value
    if isinstance(found, dict):
        return ("bytes" if list(cast("dict[str, Any]", found)) == ["$bytes"] else "map"), value
    return next((name for kind, name in _KINDS if isinstance(found, kind)), "empty"), value


QUESTION = Question("span", "What is stored of this span?", SpanParameters, SpanRecord, span)
