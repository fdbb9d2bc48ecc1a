"""The question *findings*: what the validator found wrong, newest first, and how often by rule or control."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.semconv.registry import RULES
from whodid.semconv.values import FindingRule, FindingSeverity
from whodid.store.questions import cursor
from whodid.store.questions.evidence import with_parents
from whodid.store.questions.question import Listing, Paged, Question
from whodid.store.questions.spans import MAX_SPANS, Span, Spans, in_traces, rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

_HEX = r"^([0-9a-fA-F]{{{0}}})?$"
_AFTER_ALL = (2**63 - 1, "", "")


class GroupBy(StrEnum):
    """By what findings are counted."""

    NONE = "none"
    RULE = "rule"
    CONTROL = "control"


class FindingsParameters(Paged):
    """What `findings` is asked with."""

    rule: tuple[FindingRule, ...] = Field(default=(), description="Only findings of this rule.")
    severity: tuple[FindingSeverity, ...] = Field(default=(), description="Only findings this bad.")
    control: tuple[str, ...] = Field(
        default=(),
        max_length=100,
        description="Only findings of rules that bear on this control, such as OWASP-ASI03.",
    )
    trace: str = Field(
        default="", pattern=_HEX.format(32), description="Only about spans of this trace (its id)."
    )
    span: str = Field(default="", pattern=_HEX.format(16), description="Only about this span (its id).")
    group_by: GroupBy = Field(
        default=GroupBy.NONE,
        description="Also count all that was found in the period with these properties: by rule, or by the "
        "controls that the rules bear on.",
    )


class Found(Record):
    """One finding about one span."""

    at: str
    """When the span began, RFC 3339, UTC."""
    rule: str
    severity: str
    brief: str | None
    """What the rule finds; None for a rule that this version does not have."""
    controls: list[str]
    """What it bears on."""
    attribute: str
    message: str
    agent: Answer
    principal: Answer
    operation: str | None
    tool: str | None
    service: str | None
    action_id: str | None
    trace_id: str
    span_id: str
    gaps: list[str]


class FindingCount(Record):
    """How often a rule was broken, or the rules that bear on a control."""

    name: str
    """The rule's id, or the control's."""
    brief: str | None
    """What the rule finds."""
    severities: list[str]
    rules: list[str]
    finding_count: int
    span_count: int
    first_at: str
    last_at: str
    span_ids: list[str]
    """At most five."""


class Findings(Listing[Found]):
    """Findings, newest first."""

    counts: list[FindingCount]
    """Of all pages, those with the most spans first; empty where nothing is to be counted."""


def found(reader: Reader, parameters: FindingsParameters) -> Findings:
    """What the validator found in the period.

    Raises CursorError.
    """
    begin: tuple[Any, ...] = _AFTER_ALL
    if parameters.cursor:
        begin = cursor.decode(parameters.cursor, (int, str, str))
    asked = _asked(parameters)
    rows, after = _page(reader, asked, begin, parameters.limit)
    return Findings(
        items=_items(reader, rows),
        next_cursor=cursor.encode(*after) if after else None,
        gaps=[f"no rule bears on {each}" for each in parameters.control if not _bearing((each,))],
        counts=_counts(reader, asked, parameters.group_by),
    )


def _asked(parameters: FindingsParameters) -> dict[str, Any]:
    rules: set[str] = {str(rule) for rule in parameters.rule}
    if parameters.control:
        bearing = _bearing(parameters.control)
        rules = bearing & rules if parameters.rule else bearing
    return {
        **parameters.bounds(),
        "all_rules": not parameters.rule and not parameters.control,
        "rules": sorted(rules),
        "severities": [str(each) for each in parameters.severity],
        "trace": parameters.trace.lower(),
        "span": parameters.span.lower(),
    }


def _bearing(controls: tuple[str, ...]) -> set[str]:
    return {rule.id for rule in RULES.values() if set(controls) & set(rule.controls)}


def _page(
    reader: Reader, asked: dict[str, Any], begin: tuple[Any, ...], limit: int
) -> tuple[list[dict[str, Any]], tuple[Any, ...] | None]:
    """The findings of a page, each once, and where the next one begins."""
    taken: dict[tuple[Any, ...], dict[str, Any]] = {}
    while True:
        before = {"before_ns": begin[0], "before_trace": begin[1], "before_key": begin[2]}
        rows = reader.rows("findings_listed", {**asked, **before, "limit": limit + 1})
        for row in rows:
            begin = (row["start_ns"], row["trace"], row["key"])
            if begin not in taken and len(taken) == limit:
                return list(taken.values()), list(taken)[-1]
            taken.setdefault(begin, row)
        if len(rows) <= limit:
            return list(taken.values()), None


def _items(reader: Reader, rows: list[dict[str, Any]]) -> list[Found]:
    if not rows:
        return []
    asked = {
        **in_traces(reader, sorted({row["trace"] for row in rows})),
        "spans": sorted({row["span"] for row in rows}),
        "limit": MAX_SPANS,
    }
    about, family = with_parents(reader, reader.rows("findings_spans", asked))
    spans = {(span.trace_id, span.id): span for span in about}
    return [_item(row, spans.get((row["trace"], row["span"])), family) for row in rows]


def _item(row: dict[str, Any], span: Span | None, family: Spans) -> Found:
    known = RULES.get(row["rule"])
    return Found(
        at=rfc3339(row["start_ns"]),
        rule=row["rule"],
        severity=row["severity"],
        brief=known.brief if known else None,
        controls=list(known.controls) if known else [],
        attribute=row["attribute"],
        message=row["message"],
        agent=family.answer(span, attr.GEN_AI_AGENT_NAME),
        principal=family.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
        operation=_first(span, "gen_ai_operation_name", "mcp_method_name", "name"),
        tool=_first(span, "gen_ai_tool_name"),
        service=_first(span, "service_name"),
        action_id=_first(span, "attribution_action_id"),
        trace_id=row["trace"],
        span_id=row["span"],
        gaps=[] if span else ["the span that it is about is not in the store"],
    )


def _first(span: Span | None, *columns: str) -> str | None:
    return next((span.row[column] for column in columns if span.row[column]), None) if span else None


def _counts(reader: Reader, asked: dict[str, Any], group_by: GroupBy) -> list[FindingCount]:
    if group_by is GroupBy.NONE:
        return []
    pairs = [(rule.id, control) for rule in RULES.values() for control in rule.controls]
    by_control = {
        "by_control": group_by is GroupBy.CONTROL,
        "pair_rules": [rule for rule, _ in pairs],
        "pair_controls": [control for _, control in pairs],
    }
    return [
        FindingCount(
            name=row["name"],
            brief=RULES[row["name"]].brief if row["name"] in RULES else None,
            severities=row["severities"],
            rules=row["rules"],
            finding_count=row["finding_count"],
            span_count=row["span_count"],
            first_at=rfc3339(row["first_ns"]),
            last_at=rfc3339(row["last_ns"]),
            span_ids=row["spans"],
        )
        for row in reader.rows("findings_counts", asked | by_control)
    ]


QUESTION = Question(
    "findings",
    "What is wrong with what was recorded?",
    FindingsParameters,
    Findings,
    found,
)
