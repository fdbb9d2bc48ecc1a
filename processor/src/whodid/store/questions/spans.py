"""Spans as the questions read them: a row of the store with its attributes by their canonical names."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whodid.semconv.registry import ATTRIBUTES
from whodid.semconv.values import EvidenceLevel
from whodid.store.records import Answer, Finding

if TYPE_CHECKING:
    from whodid.store.reader import Reader

MAX_SPANS = 10_000
"""How many spans one answer looks at."""

NO_PARENT = "0" * 16


@dataclass(frozen=True, slots=True)
class Span:
    """One stored span."""

    row: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.row["span"])

    @property
    def trace_id(self) -> str:
        return str(self.row["trace"])

    @property
    def parent_id(self) -> str | None:
        return None if self.row["parent"] == NO_PARENT else str(self.row["parent"])

    def get(self, attribute: str) -> str | list[str] | None:
        """An attribute's value; None where it is missing, which an empty column means."""
        return self.row[ATTRIBUTES[attribute].column_name] or None

    def text(self, attribute: str) -> str | None:
        """The same for an attribute that is one string."""
        value = self.get(attribute)
        return value if isinstance(value, str) else None

    @property
    def started_at(self) -> str:
        return rfc3339(self.row["start_ns"])

    @property
    def ended_at(self) -> str:
        return rfc3339(self.row["end_ns"])

    @property
    def duration_ms(self) -> float:
        return (self.row["end_ns"] - self.row["start_ns"]) / 1e6


def rfc3339(time_ns: int) -> str:
    """A time in UTC with microseconds, as RFC 3339 writes it."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{rest // 1000:06d}Z"


class Spans:
    """The spans of some traces, by id."""

    def __init__(self, rows: Iterable[dict[str, Any]]) -> None:
        self.all: list[Span] = []
        self.again: list[Span] = []
        """Spans whose ids came before, with whatever content (`sent_differently`)."""
        self.sent_twice: list[str] = []
        """Of these the ids with other content than before, as far as somebody has looked."""
        self._by_id: dict[tuple[str, str], Span] = {}
        for row in rows:
            span = Span(row)
            if (span.trace_id, span.id) in self._by_id:
                self.again.append(span)
                continue
            self._by_id[span.trace_id, span.id] = span
            self.all.append(span)

    def find(self, trace_id: str, span_id: str) -> Span | None:
        """The span with these ids, if it is known."""
        return self._by_id.get((trace_id, span_id))

    def parent(self, span: Span) -> Span | None:
        """The span's parent, if it is known."""
        return self._by_id.get((span.trace_id, span.parent_id)) if span.parent_id else None

    def answer(self, span: Span | None, attribute: str) -> Answer:
        """What a span says, and with how much behind it.

        *propagated*: the known parent says the same; *self_asserted*: nothing but the span itself says so.
        """
        value = span.get(attribute) if span else None
        if span is None or value is None:
            return Answer(value=None, evidence=EvidenceLevel.MISSING, spans=[])
        parent = self.parent(span)
        if parent is not None and parent.get(attribute) == value:
            return Answer(value=value, evidence=EvidenceLevel.PROPAGATED, spans=[span.id, parent.id])
        return Answer(value=value, evidence=EvidenceLevel.SELF_ASSERTED, spans=[span.id])


def in_traces(reader: Reader, traces: Iterable[str]) -> dict[str, Any]:
    """The traces with the times that their spans are between, as a query's parameters.

    `spans` is sorted by time: without the bounds `first_ns` and `last_ns` each part would be looked at.
    """
    asked = {"traces": list(traces)}
    return {**asked, **reader.rows("trace_times", asked)[0]}


def load(reader: Reader, traces: Iterable[str]) -> Spans:
    """Every span of some traces."""
    return load_within(reader, in_traces(reader, traces))


def load_within(reader: Reader, within: Mapping[str, Any]) -> Spans:
    """The same of traces whose times are known (`in_traces`)."""
    spans = Spans(reader.rows("spans", {**within, "limit": MAX_SPANS}))
    spans.sent_twice = sent_differently(reader, spans)
    return spans


def sent_differently(reader: Reader, spans: Spans) -> list[str]:
    """Ids that came again with other content, in whatever was sent: the second is evidence.

    The same span in two requests, after a restart or through two collectors, says nothing.
    """
    if not spans.again:
        return []
    traces = list(dict.fromkeys(span.trace_id for span in spans.again))
    ids = list(dict.fromkeys(span.id for span in spans.again))
    asked = {**in_traces(reader, traces), "spans": ids}
    found = {row["span"] for row in reader.rows("sent_again", asked)}
    return [each for each in ids if each in found]


def times_between(spans: Iterable[Span]) -> dict[str, int]:
    """Between which times some spans began."""
    starts_ns = [span.row["start_ns"] for span in spans]
    return {"first_ns": min(starts_ns), "last_ns": max(starts_ns)}


_EVER = {"first_ns": -(1 << 63), "last_ns": (1 << 63) - 1}


def findings(reader: Reader, traces: Iterable[str], within: Mapping[str, Any] = _EVER) -> list[Finding]:
    """What is wrong with the spans of some traces that began between `first_ns` and `last_ns`.

    With these times it is a look-up, and without them each part's index of traces is read whole.
    """
    asked = {"traces": list(traces), "first_ns": within["first_ns"], "last_ns": within["last_ns"]}
    rows = reader.rows("findings", {**asked, "limit": MAX_SPANS})
    return [Finding.model_validate(row) for row in rows]
