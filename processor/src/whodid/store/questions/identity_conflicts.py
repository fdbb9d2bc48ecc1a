"""The question *identity-conflicts*: what is claimed of an identity, against what else is known of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.store.questions import cursor
from whodid.store.questions.evidence import said
from whodid.store.questions.question import MAX_ID_CHARACTERS, Listing, Paged, Question
from whodid.store.questions.spans import rfc3339
from whodid.store.records import Answer, Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

_SHOWN = 20
"""How many spans, agents or services of one conflict are told (the same number stands in the query)."""


class Conflict(StrEnum):
    """What contradicts what."""

    ATTESTED = "attested"
    """The identity that a span claims is not the one that was attested for its connection."""
    INSTANCE = "instance"
    """One running copy of an agent goes by several names, or under several identities."""
    ISSUER = "issuer"
    """One identity has several issuers, or a SPIFFE ID is from another trust domain than its issuer."""
    ACTION = "action"
    """The spans of one action name several agents, running copies or identities."""
    USER = "user"
    """The user whom an application recorded is not the human principal who is claimed."""


class IdentityConflictsParameters(Paged):
    """What `identity-conflicts` is asked with."""

    kinds: tuple[Conflict, ...] = Field(
        default=(Conflict.ATTESTED, Conflict.INSTANCE, Conflict.ISSUER, Conflict.ACTION),
        min_length=1,
        description="Which contradictions are looked for. `user` compares user.id with the human principal, "
        "which says something only where both are written in one way.",
    )
    agent: str = Field(
        default="", max_length=MAX_ID_CHARACTERS, description="Only conflicts that this agent's name is in."
    )


class IdentityConflict(Record):
    """Two things that are said of one agent, action or user and cannot both be true."""

    kind: Conflict
    subject: str
    """The identity, running copy, action or principal that it is about."""
    claimed: Answer
    """The identity or identities that spans claim; for `issuer` the issuers, for `user` the principal."""
    attested: Answer
    """What was attested instead, or the user who was recorded; missing where spans contradict each other."""
    agents: list[str]
    instances: list[str]
    services: list[str]
    first_at: str
    """RFC 3339, UTC."""
    last_at: str
    span_count: int
    """Spans that the conflict shows in, or is put together from."""
    span_ids: list[str]
    trace_ids: list[str]
    conflict: str
    """In words."""


class IdentityConflicts(Listing[IdentityConflict]):
    """Contradictions about identities in a time, in the order in which they were seen first."""


def identity_conflicts(reader: Reader, parameters: IdentityConflictsParameters) -> IdentityConflicts:
    """The contradictions among the spans of the period.

    Raises CursorError.
    """
    after_ns, after_kind, after_key = cursor.BEFORE_ALL
    if parameters.cursor:
        after_ns, after_kind, after_key = cursor.decode(parameters.cursor, (int, str, str))
    rows = reader.rows(
        "identity_conflicts",
        {
            **parameters.bounds(),
            "kinds": list(parameters.kinds),
            "agent": parameters.agent,
            "after_ns": after_ns,
            "after_kind": after_kind,
            "after_key": after_key,
            "limit": parameters.limit + 1,
        },
    )
    page = rows[: parameters.limit]
    last = page[-1] if len(rows) > parameters.limit else None
    cut = sum(row["span_count"] > _SHOWN for row in page)
    return IdentityConflicts(
        items=[_item(row) for row in page],
        next_cursor=cursor.encode(last["first_ns"], last["kind"], last["key"]) if last else None,
        gaps=[f"{cut} conflicts have more spans than the {_SHOWN} that are told"] if cut else [],
    )


def _item(row: dict[str, Any]) -> IdentityConflict:
    spans = sorted(row["spans"])
    return IdentityConflict(
        kind=Conflict(row["kind"]),
        subject=row["subject"],
        claimed=said(row["claimed"], spans),
        attested=said(row["attested"], spans),
        agents=row["agents"],
        instances=row["instances"],
        services=row["services"],
        first_at=rfc3339(row["first_ns"]),
        last_at=rfc3339(row["last_ns"]),
        span_count=row["span_count"],
        span_ids=spans,
        trace_ids=sorted(row["traces"]),
        conflict=_words(row),
    )


def _words(row: dict[str, Any]) -> str:
    kind, subject = Conflict(row["kind"]), row["subject"]
    claimed, attested = " and ".join(row["claimed"]), " and ".join(row["attested"])
    if kind is Conflict.ATTESTED:
        return f"{subject} is claimed, and {attested} was attested"
    if kind is Conflict.USER:
        return f"the principal {subject} is claimed, and the user {attested} was recorded"
    if kind is Conflict.ISSUER:
        return f"the identity {subject} is said to be issued by {claimed}"
    what = "running copy" if kind is Conflict.INSTANCE else "action"
    several = [
        f"{name} {' and '.join(values)}"
        for name, values in (
            ("the agents", row["agents"]),
            ("the running copies", row["instances"]),
            ("the identities", row["claimed"]),
        )
        if len(values) > 1
    ]
    return f"the {what} {subject} is of {', of '.join(several)}"


QUESTION = Question(
    "identity-conflicts",
    "Where does an agent's identity contradict itself, or what was attested?",
    IdentityConflictsParameters,
    IdentityConflicts,
    identity_conflicts,
)
