"""The question *coverage*: which controls of a framework are evidenced by what the store holds."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.semconv.registry import RULES
from whodid.semconv.values import EvidenceLevel
from whodid.store.questions.controls import CONTROLS, FACTS, Control, Framework
from whodid.store.questions.evidence import LONGEST_WORK
from whodid.store.questions.question import Listing, Period, Question
from whodid.store.records import Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader


class CoverageParameters(Period):
    """What `coverage` is asked with."""

    frameworks: tuple[Framework, ...] = Field(
        default=tuple(Framework),
        min_length=1,
        description="Which controls: OWASP's Top 10 for agents, the minimum fields of IETF AIMS, the EU AI "
        "Act's articles on records and oversight.",
    )


class Status(StrEnum):
    """How far a control is evidenced."""

    EVIDENCED = "evidenced"
    """Every action says all that it asks for, and nothing speaks against it."""
    CONTRADICTED = "contradicted"
    """A rule that bears on it was broken."""
    PARTLY = "partly"
    """Some actions say some of it."""
    NOT_EVIDENCED = "not_evidenced"
    """No action says any of it."""
    NO_ACTIONS = "no_actions"
    """There was nothing that could have said it."""
    NOT_RECORDED = "not_recorded"
    """No attribute of the conventions says anything about it."""


class Fact(Record):
    """One thing that a control asks of each action."""

    name: str
    attribute: str
    action_count: int
    """Those that should say it: of approvals, those whose mode is that a human approved them."""
    said_count: int
    evidence: EvidenceLevel
    span_ids_without: list[str]
    """Of at most five actions that do not say it, a span each."""


class Broken(Record):
    """A rule that bears on the control, and was broken."""

    rule: str
    severity: str
    span_count: int
    span_ids: list[str]
    """At most five."""


class Covered(Record):
    """A control, and what there is as its evidence."""

    framework: Framework
    control: str
    title: str
    status: Status
    facts: list[Fact]
    broken: list[Broken]
    words: str


class Coverage(Listing[Covered]):
    """The controls of some frameworks, in their order."""

    action_count: int


def coverage(reader: Reader, parameters: CoverageParameters) -> Coverage:
    """What the actions of the period are evidence of."""
    period = parameters.bounds()
    epoch = Period.model_validate({}).bounds()["since"]
    rows = reader.rows(
        "coverage",
        {
            **period,
            "facts": list(FACTS),
            "approved_since": max(epoch, period["since"] - min(LONGEST_WORK, period["since"] - epoch)),
        },
    )
    by_fact = {row["fact"]: row for row in rows}
    broken = reader.rows("coverage_findings", period)
    items = [
        _covered(control, by_fact, broken)
        for control in CONTROLS
        if control.framework in parameters.frameworks
    ]
    return Coverage(
        items=items, gaps=_gaps(items), action_count=by_fact["agent"]["action_count"] if by_fact else 0
    )


def _covered(
    control: Control, by_fact: dict[str, dict[str, Any]], findings: Iterable[dict[str, Any]]
) -> Covered:
    facts = [_fact(name, by_fact.get(name)) for name in control.facts]
    broken = [
        Broken(
            rule=row["rule"], severity=row["severity"], span_count=row["span_count"], span_ids=row["spans"]
        )
        for row in findings
        if row["rule"] in RULES and control.bears in RULES[row["rule"]].controls
    ]
    status = _status(facts, broken)
    return Covered(
        framework=control.framework,
        control=control.id,
        title=control.title,
        status=status,
        facts=facts,
        broken=broken,
        words=_words(status, facts, broken),
    )


def _fact(name: str, row: dict[str, Any] | None) -> Fact:
    said = row["said_count"] if row else 0
    return Fact(
        name=name,
        attribute=FACTS[name],
        action_count=row["action_count"] if row else 0,
        said_count=said,
        evidence=EvidenceLevel.SELF_ASSERTED if said else EvidenceLevel.MISSING,
        span_ids_without=row["without"] if row else [],
    )


def _status(facts: list[Fact], broken: list[Broken]) -> Status:
    if any(each.severity == "violation" for each in broken):
        return Status.CONTRADICTED
    if not facts:
        return Status.NOT_RECORDED
    asked = [fact for fact in facts if fact.action_count]
    if not asked:
        return Status.NO_ACTIONS
    if all(fact.said_count == fact.action_count for fact in asked):
        return Status.EVIDENCED
    return Status.PARTLY if any(fact.said_count for fact in asked) else Status.NOT_EVIDENCED


def _words(status: Status, facts: list[Fact], broken: list[Broken]) -> str:
    told = [f"{each.rule} in {each.span_count} spans" for each in broken]
    told += [
        f"{fact.action_count - fact.said_count} of {fact.action_count} actions do not say {fact.attribute}"
        for fact in facts
        if fact.said_count < fact.action_count
    ]
    if told:
        return "; ".join(told)
    return {
        Status.NOT_RECORDED: "no attribute says anything about it",
        Status.NO_ACTIONS: "there were no actions that it asks anything of",
    }.get(status, "every action says all that it asks for")


def _gaps(items: list[Covered]) -> list[str]:
    unknown = [f"{item.framework} {item.control}" for item in items if item.status is Status.NOT_RECORDED]
    return [f"nothing that is recorded bears on {each}" for each in unknown]


QUESTION = Question(
    "coverage",
    "Which controls of a framework are evidenced by what the store holds?",
    CoverageParameters,
    Coverage,
    coverage,
)
