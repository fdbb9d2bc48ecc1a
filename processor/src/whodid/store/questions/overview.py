"""The question *overview*: how many actions there were, by agent, mode and decision, over time."""

from __future__ import annotations

import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.semconv.values import EvidenceLevel
from whodid.store.questions import cursor
from whodid.store.questions.question import MAX_ID_CHARACTERS, Listing, Paged, Question
from whodid.store.questions.spans import rfc3339
from whodid.store.records import Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

_HOUR = datetime.timedelta(hours=1)


class By(StrEnum):
    """What is counted apart."""

    AGENT = "agent"
    MODE = "mode"
    DECISION = "decision"
    ENFORCEMENT = "enforcement"
    TOOL = "tool"
    SERVICE = "service"


class Step(StrEnum):
    """How long a time one line is about, in UTC."""

    ALL = "all"
    DAY = "day"
    HOUR = "hour"


class OverviewParameters(Paged):
    """What `overview` is asked with."""

    by: tuple[By, ...] = Field(
        default=(By.AGENT, By.MODE, By.DECISION),
        description="What is counted apart: the agent, the action's mode, what the policies said, what "
        "was done about it, the tool, the service.",
    )
    step: Step = Field(
        default=Step.ALL,
        description="Whether the whole time is counted as one, or each day or hour (UTC) for itself.",
    )
    operation: str = Field(
        default="execute_tool",
        min_length=1,
        max_length=MAX_ID_CHARACTERS,
        description="What is counted: a value of gen_ai.operation.name. Of execute_tool also what was held "
        "back by a decision is counted.",
    )
    agent: str = Field(default="", max_length=MAX_ID_CHARACTERS, description="Only what this agent did.")
    tool: str = Field(default="", max_length=MAX_ID_CHARACTERS, description="Only what was done with it.")
    service: str = Field(default="", max_length=MAX_ID_CHARACTERS, description="Only of this service.")
    exact: bool = Field(
        default=False,
        description="Count actions by their ids and to the nanosecond, from the spans, instead of adding up "
        "the hourly counts of spans. It takes longer.",
    )


class Count(Record):
    """How many actions were alike. What is not counted apart, or is said by none of them, is null."""

    since: str | None
    """Where the line's day or hour begins, RFC 3339, UTC."""
    agent: str | None
    mode: str | None
    decision: str | None
    enforcement: str | None
    tool: str | None
    service: str | None
    action_count: int
    """`ran_count` and `blocked_count`."""
    ran_count: int
    blocked_count: int
    error_count: int
    """Those that ran and failed."""
    evidence: EvidenceLevel
    """Self-asserted, as nothing is looked at beside the spans; missing where no agent is named."""
    span_ids: list[str]
    """At most five, where it is counted exactly; an hourly count knows none."""


class Overview(Listing[Count]):
    """The counts, by time and then the highest first; the totals are of all pages."""

    action_count: int
    ran_count: int
    blocked_count: int
    error_count: int


def overview(reader: Reader, parameters: OverviewParameters) -> Overview:
    """How many actions of the period were alike.

    Raises CursorError.
    """
    after_s, after_total, after_key = cursor.BEFORE_ALL[0], 0, ""
    if parameters.cursor:
        after_s, after_total, after_key = cursor.decode(parameters.cursor, (int, int, str))
    period = parameters.bounds()
    if not parameters.exact:
        period["since"] = _hour(period["since"])
    rows = reader.rows(
        "overview_exact" if parameters.exact else "overview",
        {
            **period,
            "by": list(parameters.by),
            "step": parameters.step.value,
            "operation": parameters.operation,
            "agent": parameters.agent,
            "tool": parameters.tool,
            "service": parameters.service,
            "after_s": after_s,
            "after_total": after_total,
            "after_key": after_key,
            # One more tells whether there is a next page, and one is there for its totals alone.
            "limit": parameters.limit + 2,
        },
    )
    listed = [row for row in rows if row["listed"]]
    page = listed[: parameters.limit]
    last = page[-1] if len(listed) > parameters.limit else None
    total: dict[str, int] = {
        name: rows[0][name] if rows else 0 for name in ("all_ran", "all_blocked", "all_errors", "all_unnamed")
    }
    return Overview(
        items=[_count(row, parameters) for row in page],
        next_cursor=cursor.encode(last["start_s"], -last["total"], last["key"]) if last else None,
        gaps=_gaps(parameters, total),
        action_count=total["all_ran"] + total["all_blocked"],
        ran_count=total["all_ran"],
        blocked_count=total["all_blocked"],
        error_count=total["all_errors"],
    )


def _count(row: dict[str, Any], parameters: OverviewParameters) -> Count:
    return Count(
        since=None if parameters.step is Step.ALL else rfc3339(row["start_s"] * 1_000_000_000),
        **{by.value: row[by] or None for by in By},
        action_count=row["ran_count"] + row["blocked_count"],
        ran_count=row["ran_count"],
        blocked_count=row["blocked_count"],
        error_count=row["error_count"],
        evidence=EvidenceLevel.MISSING if row["unnamed"] else EvidenceLevel.SELF_ASSERTED,
        span_ids=row["spans"],
    )


def _gaps(parameters: OverviewParameters, total: dict[str, int]) -> list[str]:
    gaps: list[str] = []
    if total["all_unnamed"]:
        gaps.append(f"{total['all_unnamed']} of them name no agent")
    cut = [side for side in (parameters.since, parameters.until) if side is not None and side != _hour(side)]
    if cut and not parameters.exact:
        gaps.append("counted by whole hours: those that the period begins and ends in are counted whole")
    return gaps


def _hour(moment: datetime.datetime) -> datetime.datetime:
    """The beginning of a moment's hour in UTC, whatever its own zone."""
    in_utc = moment.astimezone(datetime.UTC)
    return in_utc - (in_utc - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) % _HOUR


QUESTION = Question(
    "overview",
    "How many actions were there, by which agents, and what was said about them?",
    OverviewParameters,
    Overview,
    overview,
)
