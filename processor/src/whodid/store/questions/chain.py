"""The question *chain*: through whose hands the authority for an action went, across traces."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store.questions import lookup
from whodid.store.questions.ancestry import Ancestry, How, Step
from whodid.store.questions.evidence import SKEW_NS
from whodid.store.questions.id_times import times_of
from whodid.store.questions.question import MAX_ID_CHARACTERS, Parameters, Question
from whodid.store.questions.spans import Span
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

MAX_RELATED = 1_000
"""How many spans of the same task or correlation id are looked at."""

_SHOWN_SPANS = 5
"""How many of the spans behind a link are told."""

_MAIN = ("execute_tool", "evaluate_policy", "chat", "invoke_agent")
"""Which of an action's spans speaks for it: the first of these that there is."""


class ChainParameters(Parameters):
    """What `chain` is asked with."""

    id: str = Field(
        max_length=MAX_ID_CHARACTERS,
        description="An action's id, a span's (16 hexadecimal digits), a tool call's, or a correlation id.",
    )


class Link(Record):
    """One of the hands that the authority went through."""

    position: int
    """0 is the principal, the last is the acting agent."""
    name: str
    evidence: EvidenceLevel
    how: How
    """What ties the spans behind it to the action."""
    spans: list[str]
    trace_ids: list[str]
    service: str | None = None
    """Of an agent; the principal has none."""
    instance: str | None = None
    identity: str | None = None
    task: str | None = None
    started_at: str | None = None


class Passed(Record):
    """An agent on the way up to which the action's chain does not name."""

    name: str
    chain: list[str]
    spans: list[str]
    trace_ids: list[str]


class Onward(Record):
    """An agent to which the acting one handed on."""

    name: str
    chain: list[str]
    how: How
    spans: list[str]
    trace_ids: list[str]


class ChainRecord(Record):
    """The delegation behind one action, from the principal to the acting agent."""

    id: str
    matched_by: str
    action_id: str | None
    span_id: str
    """The span whose chain is told."""
    trace_ids: list[str]
    """The traces that the way up leads through."""
    initiator: Answer
    principal: Answer
    chain: Answer
    links: list[Link]
    unnamed: list[Passed]
    """Agents that spans show on the way, and that the chain leaves out."""
    onward: list[Onward]
    gaps: list[str]


def chain(reader: Reader, parameters: ChainParameters) -> ChainRecord:
    """The delegation behind the action that the id means.

    Raises UnknownIdError and AmbiguousIdError.
    """
    target = lookup.find(reader, parameters.id)
    # What the action is tied by is known before all of its spans are, and may be more by those above it.
    guessed = _Ties.of([Span(min(target.rows, key=_speaks))])
    above, tied = reader.both(
        lambda beside: _above(beside, parameters.id, target), lambda beside: _tied(beside, guessed)
    )
    main, way_up, told = above.main, above.way_up, _chain(above.main)
    ties = _Ties.of([main, *(step.span for step in way_up)])
    if ties != guessed:
        tied = _tied(reader, ties)
    related = _related(tied, [Step(main, How.ITSELF), *way_up])
    spans = above.ancestry.spans
    return ChainRecord(
        id=parameters.id,
        matched_by=target.matched_by,
        action_id=target.action_id or None,
        span_id=main.id,
        trace_ids=list(dict.fromkeys([main.trace_id, *(step.span.trace_id for step in way_up)])),
        initiator=spans.answer(main, attr.ATTRIBUTION_INITIATOR_ID),
        principal=spans.answer(main, attr.ATTRIBUTION_PRINCIPAL_ID),
        chain=spans.answer(main, attr.ATTRIBUTION_DELEGATION_CHAIN),
        links=[_link(position, told, main, way_up, related) for position in range(len(told))],
        unnamed=_unnamed(told, main, way_up),
        onward=_onward(told, main, related),
        gaps=[*_gaps(told, above.of_action, main), *_gaps_on_the_way(above)],
    )


@dataclass(frozen=True, slots=True)
class _Above:
    """An action, and the way up from it."""

    ancestry: Ancestry
    of_action: list[Span]
    main: Span
    way_up: list[Step]
    sent_twice: list[str]


def _above(reader: Reader, id_: str, target: lookup.Target) -> _Above:
    ancestry = Ancestry(reader, target.traces)
    of_action = [
        span
        for span in ancestry.spans.all
        if (
            span.row["attribution_action_id"] == target.action_id
            if target.action_id
            else span.id == target.span_id
        )
    ]
    if not of_action:
        raise lookup.unread(id_, len(ancestry.spans.all))
    main = min(of_action, key=lambda span: _speaks(span.row))
    way_up = ancestry.climb(main)
    return _Above(ancestry, of_action, main, way_up, ancestry.sent_twice())


def _speaks(row: dict[str, Any]) -> int:
    operation = row["gen_ai_operation_name"]
    return _MAIN.index(operation) if operation in _MAIN else len(_MAIN)


def _chain(span: Span) -> list[str]:
    value = span.get(attr.ATTRIBUTION_DELEGATION_CHAIN)
    return value if isinstance(value, list) else []


@dataclass(frozen=True, slots=True)
class _Ties:
    """What spans without a known parent may have in common with an action and those above it."""

    chain: tuple[str, ...]
    tasks: frozenset[str]
    correlations: frozenset[str]

    @classmethod
    def of(cls, spans: list[Span]) -> Self:
        """Those of a span and of its ancestors. An empty column says nothing, which nothing has in common."""
        rows = [span.row for span in spans]
        tasks = {row[name] for row in rows for name in ("attribution_task_id", "attribution_task_parent_id")}
        correlations = {row["attribution_correlation_id"] for row in rows}
        return cls(tuple(_chain(spans[0])), frozenset(tasks - {""}), frozenset(correlations - {""}))


def _tied(reader: Reader, ties: _Ties) -> list[dict[str, Any]]:
    """Spans that share the task or the correlation id, and whose chain is a part of this one or goes on."""
    if not ties.chain:
        return []
    times = times_of(
        reader,
        [
            *((attr.ATTRIBUTION_TASK_ID, each) for each in ties.tasks),
            *((attr.ATTRIBUTION_CORRELATION_ID, each) for each in ties.correlations),
        ],
    )
    asked = {
        "tasks": sorted(ties.tasks),
        "correlations": sorted(ties.correlations),
        "chain": list(ties.chain),
        "limit": MAX_RELATED,
        **times,
    }
    return reader.rows("chain_related", asked)


def _related(rows: list[dict[str, Any]], steps: list[Step]) -> list[Step]:
    """Of spans that are tied to an action those that are not known to be above it."""
    on_the_way = {(step.span.trace_id, step.span.id) for step in steps}
    return [Step(Span(row), How(row["how"])) for row in rows if (row["trace"], row["span"]) not in on_the_way]


def _link(position: int, told: list[str], main: Span, way_up: list[Step], related: list[Step]) -> Link:
    """Who was at a position of the chain, and the spans that show it."""
    until_here = told[: position + 1]
    name = told[position]
    is_principal = position < _first_agent(told, main)

    def shows(step: Step) -> bool:
        if is_principal:
            return step.span.row["attribution_principal_id"] == name
        return _chain(step.span) == until_here and step.span.row["gen_ai_agent_name"] == name

    found = [step for step in way_up if shows(step)] or [step for step in related if shows(step)]
    if position == len(told) - 1 and not found:
        found = [Step(main, How.ITSELF)]
    best = min(found, key=lambda step: list(How).index(step.how), default=None)
    if best is None:
        return Link(
            position=position,
            name=name,
            evidence=EvidenceLevel.SELF_ASSERTED,
            how=How.SAID_ONLY,
            spans=[main.id],
            trace_ids=[main.trace_id],
        )
    behind = [step.span for step in found if step.how == best.how][-_SHOWN_SPANS:]
    climbed = best.how in (How.PARENT, How.SPAN_LINK)
    # The outermost of them: the agent's own span, or the one where the principal's authority comes in.
    span = behind[-1] if climbed else behind[0]
    link = Link(
        position=position,
        name=name,
        evidence=EvidenceLevel.PROPAGATED if climbed else EvidenceLevel.SELF_ASSERTED,
        how=best.how,
        spans=[each.id for each in behind],
        trace_ids=sorted({each.trace_id for each in behind}),
        task=span.text(attr.ATTRIBUTION_TASK_ID),
        started_at=span.started_at,
    )
    return link if is_principal else link.model_copy(update=_agent(span))


def _first_agent(told: list[str], main: Span) -> int:
    """The position of the first agent: before it is the principal, if the action is on behalf of one."""
    return 0 if told and not main.row["attribution_principal_id"] else 1


def _agent(span: Span) -> dict[str, str | None]:
    return {
        "service": span.row["service_name"],
        "instance": span.text(attr.ATTRIBUTION_AGENT_INSTANCE_ID),
        "identity": span.text(attr.ATTRIBUTION_AGENT_IDENTITY_ID),
    }


def _unnamed(told: list[str], main: Span, way_up: list[Step]) -> list[Passed]:
    agents = told[_first_agent(told, main) :]
    found: dict[str, list[Span]] = {}
    for step in way_up:
        name = step.span.text(attr.GEN_AI_AGENT_NAME)
        if name is not None and name not in agents:
            found.setdefault(name, []).append(step.span)
    return [
        Passed(
            name=name,
            chain=_chain(spans[-1]),
            spans=[span.id for span in spans],
            trace_ids=sorted({span.trace_id for span in spans}),
        )
        for name, spans in found.items()
    ]


def _onward(told: list[str], main: Span, related: list[Step]) -> list[Onward]:
    found: dict[tuple[str, ...], list[Step]] = {}
    for step in related:
        longer = tuple(_chain(step.span))
        if len(longer) > len(told) and step.span.row["start_ns"] >= main.row["start_ns"] - SKEW_NS:
            found.setdefault(longer, []).append(step)
    return [
        Onward(
            name=longer[-1],
            chain=list(longer),
            how=min((step.how for step in steps), key=list(How).index),
            spans=[step.span.id for step in steps],
            trace_ids=sorted({step.span.trace_id for step in steps}),
        )
        for longer, steps in found.items()
    ]


def _gaps(told: list[str], of_action: list[Span], main: Span) -> list[str]:
    gaps: list[str] = []
    if not told:
        gaps.append("the action names no delegation chain")
    others = {tuple(_chain(span)): span.id for span in of_action} | {tuple(told): main.id}
    if len(set(others) - {()}) > 1:
        texts = (f"{' → '.join(links)} (span {span})" for links, span in others.items() if links)
        gaps.append(f"the action's spans disagree about the chain: {'; '.join(texts)}")
    if told and told[0] != main.row["attribution_principal_id"]:
        said: Any = main.row["attribution_principal_id"] or "nobody that is named"
        gaps.append(f"the chain begins with {told[0]}, and the action is on behalf of {said}")
    if told and told[-1] != main.row["gen_ai_agent_name"]:
        gaps.append(f"the chain ends with {told[-1]}, and {main.row['gen_ai_agent_name'] or 'nobody'} acted")
    return gaps


def _gaps_on_the_way(found: _Above) -> list[str]:
    gaps: list[str] = []
    below = found.main
    for step in found.way_up:
        above = step.span
        gaps += _between(below, above)
        if step.how is How.SPAN_LINK and below.parent_id is not None:
            gaps.append(f"span {below.id} has a parent, {below.parent_id}, that is not in the store")
        below = above
    if below.parent_id is not None and found.ancestry.spans.parent(below) is None:
        gaps.append(f"span {below.id} has a parent, {below.parent_id}, that is not in the store")
    elif below.parent_id is not None:
        gaps.append(f"span {below.id} and its ancestors name each other as parents")
    on_the_way = {found.main.id, *(step.span.id for step in found.way_up)}
    gaps += [
        f"span {span} was sent twice with different content; the first is used"
        for span in found.sent_twice
        if span in on_the_way
    ]
    if found.ancestry.truncated:
        gaps.append("there are more spans or traces than an answer looks at")
    return gaps


def _between(below: Span, above: Span) -> list[str]:
    """What does not fit between a span and the one above it."""
    gaps: list[str] = []
    for attribute, words in (
        (attr.ATTRIBUTION_INITIATOR_ID, "was started by"),
        (attr.ATTRIBUTION_PRINCIPAL_ID, "is on behalf of"),
    ):
        lower, upper = below.text(attribute), above.text(attribute)
        if lower and upper and lower != upper:
            gaps.append(f"span {below.id} {words} {lower}, and {above.id} above it {words} {upper}")
    longer, shorter = _chain(below), _chain(above)
    if longer and shorter and longer[: len(shorter)] != shorter and longer[0] == shorter[0]:
        gaps.append(
            f"the chain of span {below.id}, {' → '.join(longer)}, does not go on from that of {above.id} "
            f"above it, {' → '.join(shorter)}"
        )
    if above.row["start_ns"] > below.row["start_ns"] + SKEW_NS:
        gaps.append(f"span {below.id} began before {above.id} above it: their clocks disagree")
    return gaps


QUESTION = Question(
    "chain",
    "Through whose hands did the authority for this action go?",
    ChainParameters,
    ChainRecord,
    chain,
)
