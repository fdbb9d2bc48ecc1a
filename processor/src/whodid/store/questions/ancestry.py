"""The way up from a span: its parents, and on into other traces where a span links to one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from whodid.store.questions.spans import MAX_SPANS, Span, Spans, in_traces, sent_differently

if TYPE_CHECKING:
    from collections.abc import Iterable

    from whodid.store.reader import Reader

MAX_TRACES = 32
"""How many traces one chain is followed through."""


class How(StrEnum):
    """What ties a span to the action that is asked about, from the strongest to the weakest."""

    ITSELF = "itself"
    PARENT = "parent"
    SPAN_LINK = "span_link"
    SAME_TASK = "same_task"
    SAME_CORRELATION = "same_correlation"
    SAID_ONLY = "said_only"
    """No span of it is known: the acting agent says so, and nobody else."""


@dataclass(frozen=True, slots=True)
class Step:
    """A span on the way up."""

    span: Span
    how: How


class Ancestry:
    """The spans of an action's traces, and the way up from one of them."""

    def __init__(self, reader: Reader, traces: Iterable[str]) -> None:
        self._reader = reader
        self._rows = reader.rows("chain", {**in_traces(reader, sorted(traces)), "limit": MAX_SPANS})
        self.spans = Spans(self._rows)
        self.traces = {span.trace_id for span in self.spans.all}
        self.truncated = len(self._rows) >= MAX_SPANS

    def sent_twice(self) -> list[str]:
        """Ids of spans that came again with other content."""
        return sent_differently(self._reader, self.spans)

    def climb(self, start: Span) -> list[Step]:
        """The ancestors of a span, nearest first; each once, whatever circle they name."""
        steps: list[Step] = []
        seen = {(start.trace_id, start.id)}
        in_this_trace = [start]
        while True:
            how = How.PARENT
            above = self.spans.parent(in_this_trace[-1])
            if above is None or (above.trace_id, above.id) in seen:
                how, above = How.SPAN_LINK, self._linked(in_this_trace, seen)
                in_this_trace = []
            if above is None:
                return steps
            seen.add((above.trace_id, above.id))
            in_this_trace.append(above)
            steps.append(Step(above, how))

    def _linked(self, spans: list[Span], seen: set[tuple[str, str]]) -> Span | None:
        """What the topmost of these spans that links to another trace links to."""
        for span in reversed(spans):
            for trace_id, span_id in zip(span.row["link_traces"], span.row["link_spans"], strict=True):
                if trace_id != span.trace_id and (trace_id, span_id) not in seen:
                    found = self._load(trace_id).find(trace_id, span_id)
                    if found is not None:
                        return found
        return None

    def _load(self, trace_id: str) -> Spans:
        if trace_id not in self.traces:
            if len(self.traces) >= MAX_TRACES:
                self.truncated = True
                return self.spans
            self.traces.add(trace_id)
            asked = in_traces(self._reader, [trace_id])
            self._rows += self._reader.rows("chain", {**asked, "limit": MAX_SPANS})
            self.spans = Spans(self._rows)
        return self.spans
