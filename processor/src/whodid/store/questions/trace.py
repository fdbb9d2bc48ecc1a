"""The question *trace*: a trace as a tree, with who and for whom on each line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.store.questions.lookup import UnknownIdError
from whodid.store.questions.question import Parameters, Question
from whodid.store.questions.spans import MAX_SPANS, Span, Spans, findings, in_traces
from whodid.store.records import TraceLine, TraceRecord

if TYPE_CHECKING:
    from whodid.store.reader import Reader


class TraceParameters(Parameters):
    """What `trace` is asked with."""

    trace_id: str = Field(max_length=1024, description="The trace's id: 32 hexadecimal digits.")


def trace(reader: Reader, parameters: TraceParameters) -> TraceRecord:
    """The whole trace, as a tree.

    Raises UnknownIdError.
    """
    trace_id = parameters.trace_id
    if not re.fullmatch(r"[0-9a-fA-F]{32}", trace_id):
        raise UnknownIdError(
            f"{trace_id!r} is no trace id",
            "a trace id is 32 hexadecimal digits; `whodid who` takes the other ids and names the trace",
        )
    trace_id = trace_id.lower()
    within = in_traces(reader, [trace_id])
    asked = {
        "trace": trace_id,
        "first_ns": within["first_ns"],
        "last_ns": within["last_ns"],
        "limit": MAX_SPANS,
    }
    rows, found = reader.both(
        lambda beside: beside.rows("trace", asked), lambda beside: findings(beside, [trace_id], within)
    )
    spans = Spans(rows)
    if not spans.all:
        raise UnknownIdError(
            f"no span of trace {trace_id} is in the store", "check the id, and that the agent sends here"
        )
    wrong: dict[str, list[str]] = {}
    for finding in found:
        wrong.setdefault(finding.span, []).append(finding.rule)
    return TraceRecord(
        trace_id=trace_id,
        lines=[_line(spans, span, depth, wrong.get(span.id, [])) for span, depth in _depth_first(spans)],
        truncated=len(spans.all) >= MAX_SPANS,
    )


def _depth_first(spans: Spans) -> list[tuple[Span, int]]:
    children: dict[str | None, list[Span]] = {}
    for span in spans.all:
        parent = spans.parent(span)
        children.setdefault(parent.id if parent else None, []).append(span)
    ordered: list[tuple[Span, int]] = []
    seen: set[str] = set()
    roots = children.get(None, [])
    # What no root leads to are spans that name each other as parents; they are shown, and not walked forever.
    waiting = [(span, 0) for span in reversed(roots + spans.all)]
    while waiting:
        span, depth = waiting.pop()
        if span.id not in seen:
            seen.add(span.id)
            ordered.append((span, depth))
            waiting += [(child, depth + 1) for child in reversed(children.get(span.id, []))]
    return ordered


def _line(spans: Spans, span: Span, depth: int, rules: list[str]) -> TraceLine:
    chain = span.get(attr.ATTRIBUTION_DELEGATION_CHAIN)
    return TraceLine(
        span_id=span.id,
        parent_span_id=span.parent_id,
        depth=depth,
        name=span.row["name"],
        operation=span.text(attr.GEN_AI_OPERATION_NAME),
        service=span.row["service_name"],
        agent=span.text(attr.GEN_AI_AGENT_NAME),
        principal=span.text(attr.ATTRIBUTION_PRINCIPAL_ID),
        chain=chain if isinstance(chain, list) else [],
        action_id=span.text(attr.ATTRIBUTION_ACTION_ID),
        mode=span.text(attr.ATTRIBUTION_ACTION_MODE),
        decision=span.text(attr.ATTRIBUTION_POLICY_DECISION_OUTCOME),
        enforcement=span.text(attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION),
        status=span.row["status_code"],
        error_type=span.text(attr.ERROR_TYPE),
        started_at=span.started_at,
        duration_ms=span.duration_ms,
        parent_missing=span.parent_id is not None and spans.parent(span) is None,
        findings=len(rules),
        finding_rules=list(dict.fromkeys(rules)),
    )


QUESTION = Question(
    "trace", "What happened in this trace, in which order?", TraceParameters, TraceRecord, trace
)
