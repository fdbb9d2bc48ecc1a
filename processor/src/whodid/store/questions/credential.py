"""The question *credential*: every use of one credential, and which of them were not right."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.store.questions import paging
from whodid.store.questions.evidence import SKEW_NS, among_parents, parents_of, said, with_parents
from whodid.store.questions.id_times import times_of
from whodid.store.questions.lookup import UnknownIdError
from whodid.store.questions.question import MAX_ID_CHARACTERS, Listing, Paged, Question
from whodid.store.questions.spans import Span, Spans, rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

HOLDING = ("invoke_agent", "invoke_workflow", "plan", "evaluate_policy", "resolve_approval")
"""Operations whose span carries a credential and does not use it: an agent at work may get another."""

MAX_PARENTS = 300
"""How many parents are looked up before it is known which uses are told (the query has the same number)."""

_SHOWN_SPANS = 20
"""How many span ids of one use are told (the same number stands in the query)."""


class Wrong(StrEnum):
    """What may be wrong with a use."""

    UNENROLLED = "unenrolled"
    OUTSIDE_LIFETIME = "outside_lifetime"
    OTHER_TASK = "other_task"


class CredentialParameters(Paged):
    """What `credential` is asked with."""

    id: str = Field(
        min_length=1,
        max_length=MAX_ID_CHARACTERS,
        description="The credential's id: its fingerprint or accessor, never the secret.",
    )
    agents: tuple[str, ...] = Field(
        default=(),
        max_length=1_000,
        description="The names or workload identities of the agents that may use it; a use by another one "
        "counts as unenrolled. Without it every agent that says which one it is may.",
    )
    only: Wrong | None = Field(
        default=None,
        description="Only the uses with this wrong: by no enrolled agent, outside of the credential's "
        "lifetime, or for another task than it was issued for.",
    )


class CredentialUse(Record):
    """One use: an action that used the credential, or a span that did where it belongs to no action."""

    at: str
    """RFC 3339, UTC."""
    enrolled: bool
    """An agent of ours says that it was it (and, where agents are named in the question, one of those)."""
    outside_lifetime: bool | None
    """None where nobody says how long the credential is good."""
    other_task: bool | None
    """None where nobody says for which task it was issued, or the use names none."""
    agent: Answer
    instance: Answer
    identity: Answer
    principal: Answer
    task: Answer
    operation: str | None
    tool: str | None
    resource: str | None
    services: list[str]
    action_id: str | None
    trace_id: str
    span_ids: list[str]
    gaps: list[str]


class FirstUse(Record):
    """When and where something was seen first."""

    at: str
    service: str
    trace_id: str
    span_id: str


class CredentialUses(Listing[CredentialUse]):
    """Every use of one credential in a time, oldest first; what is counted is counted over all pages."""

    credential_id: str
    type: Answer
    issuer: Answer
    not_before: Answer
    not_after: Answer
    task: Answer
    replaces: Answer
    use_count: int
    unenrolled_count: int
    outside_lifetime_count: int
    other_task_count: int
    first_use_at: str | None
    first_unenrolled_use: FirstUse | None
    agents: list[str]
    """The agents, principals and services that name it, whether they use or carry it: at most 50 of each."""
    principals: list[str]
    services: list[str]


def credential(reader: Reader, parameters: CredentialParameters) -> CredentialUses:
    """Every use of the credential in the period.

    Raises UnknownIdError and CursorError.
    """
    bounds = parameters.bounds()
    times = times_of(reader, [(attr.ATTRIBUTION_CREDENTIAL_ID, parameters.id)], bounds)
    about = {"credential": parameters.id, **bounds, **times}
    (facts, parents), page = reader.both(
        lambda beside: _facts(beside, about), lambda beside: _page(beside, parameters, about)
    )
    if not facts["span_count"]:
        raise UnknownIdError(
            f"no span with credential {parameters.id!r} is in the store",
            "an id is a fingerprint or accessor, as the agent recorded it; check it, and --since and --until",
        )
    total = page.totals
    if parents is None:
        spans, family = with_parents(reader, page.rows)
    else:
        spans, family = among_parents(page.rows, parents)
    return CredentialUses(
        items=[_use(span, family) for span in spans],
        next_cursor=page.next_cursor,
        gaps=_gaps(facts, total),
        credential_id=parameters.id,
        type=said(facts["types"], [facts["type_span"]]),
        issuer=said(facts["issuers"], [facts["issuer_span"]]),
        not_before=said(facts["not_before"], [facts["not_before_span"]]),
        not_after=said(facts["not_after"], [facts["not_after_span"]]),
        task=said(facts["tasks"], [facts["task_span"]]),
        replaces=said(facts["replaces"], [facts["replaces_span"]]),
        use_count=total.get("use_count", 0),
        unenrolled_count=total.get("unenrolled_count", 0),
        outside_lifetime_count=total.get("outside_lifetime_count", 0),
        other_task_count=total.get("other_task_count", 0),
        first_use_at=rfc3339(total["first_use_ns"]) if total else None,
        first_unenrolled_use=_first_unenrolled(total),
        agents=facts["agents"],
        principals=facts["principals"],
        services=facts["services"],
    )


def _facts(reader: Reader, about: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]] | None]:
    """What all spans say about the credential, and their parents; None where those are too many at once."""
    facts = reader.rows("credential_facts", about)[0]
    traces, parents = facts["traces"], facts["parents"]
    if not parents:
        return facts, []
    if max(len(traces), len(parents)) > MAX_PARENTS:
        return facts, None
    return facts, parents_of(reader, traces, parents, facts["first_ns"], facts["last_ns"])


def _page(reader: Reader, parameters: CredentialParameters, about: dict[str, Any]) -> paging.Page:
    return paging.read(
        reader,
        "credential",
        parameters,
        {
            **about,
            "agents": list(parameters.agents),
            "holding": list(HOLDING),
            "skew_ns": SKEW_NS,
            "only": parameters.only or "",
        },
    )


def _use(span: Span, family: Spans) -> CredentialUse:
    row = span.row
    lifetime_known = row["not_before"] is not None or row["not_after"] is not None
    tasks_known = bool(row["issued_for"] and row["attribution_task_id"])
    return CredentialUse(
        at=rfc3339(row["start_ns"]),
        enrolled=bool(row["enrolled"]),
        outside_lifetime=bool(row["outside_lifetime"]) if lifetime_known else None,
        other_task=bool(row["of_other_task"]) if tasks_known else None,
        agent=family.answer(span, attr.GEN_AI_AGENT_NAME),
        instance=family.answer(span, attr.ATTRIBUTION_AGENT_INSTANCE_ID),
        identity=family.answer(span, attr.ATTRIBUTION_AGENT_IDENTITY_ID),
        principal=family.answer(span, attr.ATTRIBUTION_PRINCIPAL_ID),
        task=family.answer(span, attr.ATTRIBUTION_TASK_ID),
        operation=row["gen_ai_operation_name"] or row["mcp_method_name"] or row["name"] or None,
        tool=row["gen_ai_tool_name"] or None,
        resource=row["attribution_resource_id"] or None,
        services=row["services"],
        action_id=row["attribution_action_id"] or None,
        trace_id=span.trace_id,
        span_ids=sorted(row["spans"], key=lambda id_: (id_ != span.id, id_)),
        gaps=_use_gaps(span, family),
    )


def _use_gaps(span: Span, family: Spans) -> list[str]:
    row = span.row
    gaps: list[str] = []
    if not row["gen_ai_agent_name"]:
        gaps.append("no agent says that it was it")
    elif not row["attribution_agent_instance_id"] and not row["attribution_agent_identity_id"]:
        gaps.append("an agent is named, and not which running copy or identity of it")
    if len(row["agents"]) > 1:
        gaps.append(f"the action's spans name several agents: {', '.join(row['agents'])}")
    if span.parent_id is not None and family.parent(span) is None:
        gaps.append(f"span {span.id} has a parent, {span.parent_id}, that is not in the store")
    if row["version_count"] > row["span_count"]:
        gaps.append("a span was sent twice with different content; the use is counted once")
    if row["span_count"] > _SHOWN_SPANS:
        gaps.append(f"it has {row['span_count']} spans, of which {_SHOWN_SPANS} are told")
    return gaps


def _first_unenrolled(total: paging.Row) -> FirstUse | None:
    if not total.get("unenrolled_count"):
        return None
    span, trace, service, start_ns = total["first_unenrolled"]
    return FirstUse(at=rfc3339(start_ns), service=service, trace_id=trace, span_id=span)


def _gaps(facts: dict[str, Any], total: paging.Row) -> list[str]:
    gaps: list[str] = []
    for name, values in (
        ("from when it is good", facts["not_before"]),
        ("until when it is good", facts["not_after"]),
        ("for which task it was issued", facts["tasks"]),
        ("who issued it", facts["issuers"]),
        ("of which type it is", facts["types"]),
    ):
        if len(values) > 1:
            gaps.append(f"spans disagree about {name}; each use is judged by what its own spans say")
    if not facts["not_before"] and not facts["not_after"]:
        gaps.append("no span says how long the credential is good")
    if facts["carried_count"]:
        gaps.append(
            f"{facts['carried_count']} spans of agents carry it without saying an operation; those outside "
            "of an action that used it are not counted as uses"
        )
    if not total:
        gaps.append("spans carry it, and none shows that it was used")
    return gaps


QUESTION = Question(
    "credential",
    "Where was this credential used, by whom, and was that right?",
    CredentialParameters,
    CredentialUses,
    credential,
)
