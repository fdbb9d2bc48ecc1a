"""The question *blast-radius*: what was reached from a credential, an agent, a principal or another start."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import Field

from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store.questions.id_times import ALWAYS, EVERYWHERE, times_of
from whodid.store.questions.lookup import UnknownIdError
from whodid.store.questions.question import MAX_ID_CHARACTERS, Listing, Period, Question
from whodid.store.questions.spans import rfc3339
from whodid.store.records import Record

if TYPE_CHECKING:
    from whodid.store.reader import Reader

MAX_PARTS = 10_000
"""How many nodes, and how many edges, one answer holds."""

_KINDS = 20
"""How many rows come at most for their kind's counts alone."""

_MAX_TRACES = 300
"""Of how many traces it is looked up when a cache served their results."""

_NO_NODES = ("all", "contradiction")
"""What the query counts beside nodes."""


class Start(StrEnum):
    """From what it is reckoned."""

    CREDENTIAL = "credential"
    AGENT = "agent"
    INSTANCE = "instance"
    IDENTITY = "identity"
    PRINCIPAL = "principal"
    SESSION = "session"
    TASK = "task"
    TOOL = "tool"


LOOKED_UP = {
    Start.CREDENTIAL: (attr.ATTRIBUTION_CREDENTIAL_ID,),
    Start.PRINCIPAL: (attr.ATTRIBUTION_PRINCIPAL_ID,),
    Start.SESSION: (attr.SESSION_ID, attr.GEN_AI_CONVERSATION_ID),
    Start.TASK: (attr.ATTRIBUTION_TASK_ID,),
}
"""The attributes with the ids of a start whose times are known."""


class BlastRadiusParameters(Period):
    """What `blast-radius` is asked with."""

    kind: Start = Field(
        description="What `id` is: a credential, an agent's name, a running copy of an agent, a workload "
        "identity, a principal, a session or conversation, a task, or a tool's name.",
    )
    id: str = Field(
        min_length=1, max_length=MAX_ID_CHARACTERS, description="The id or name that it is reckoned from."
    )
    limit: int = Field(
        default=1_000,
        ge=1,
        le=MAX_PARTS,
        description="How many nodes and how many edges are told, those with the most actions first.",
    )


class Counted(Record):
    """How often, when, and by which spans."""

    action_count: int
    """Actions that ran."""
    changing_count: int
    """Those of them that did more than read, as far as they say."""
    denied_count: int
    """Actions that were held back by a decision."""
    first_at: str
    """RFC 3339, UTC."""
    last_at: str
    evidence: EvidenceLevel
    span_ids: list[str]
    """At most five."""


class Node(Counted):
    """Somebody or something that was reached."""

    kind: str
    """`principal`, `agent`, `tool`, `model`, `resource`, `credential`, `session`, `task` or `service`."""
    id: str | None
    """None for an agent or a principal that nobody names."""


class Edge(Counted):
    """What was reached from what: who acted for whom, handed on to whom, used what, on what."""

    from_kind: str
    from_id: str
    to_kind: str
    to_id: str


class CachedReader(Record):
    """Somebody who was served results of the reached actions from a cache."""

    principal: str | None
    agent: str | None
    tool: str | None
    action_count: int
    first_at: str
    last_at: str
    evidence: EvidenceLevel
    span_ids: list[str]


class BlastRadius(Listing[Edge]):
    """What was reached, as nodes and (the items) edges between them."""

    kind: Start
    id: str
    action_count: int
    changing_count: int
    denied_count: int
    first_at: str | None
    last_at: str | None
    reached: dict[str, int]
    """How many different nodes of each kind an action ran for or on, also where not all are told."""
    nodes: list[Node]
    cached_readers: list[CachedReader]


def blast_radius(reader: Reader, parameters: BlastRadiusParameters) -> BlastRadius:
    """What was reached in the period.

    Raises UnknownIdError.
    """
    bounds = parameters.bounds()
    named = [(attribute, parameters.id) for attribute in LOOKED_UP.get(parameters.kind, ())]
    about = {
        **bounds,
        **(times_of(reader, named, bounds) if named else EVERYWHERE),
        "kind": parameters.kind.value,
        "id": parameters.id,
        "limit": parameters.limit + _KINDS,
    }
    rows, cached = reader.both(
        lambda beside: beside.rows("blast_radius", about), lambda beside: _cached(beside, parameters, about)
    )
    if not rows:
        raise UnknownIdError(
            f"no action in the store has the {parameters.kind} {parameters.id!r}",
            "check the id and its kind, and --since and --until",
        )
    total = rows[0]
    nodes = _most_first(row for row in rows if not row["to_kind"] and row["from_kind"] not in _NO_NODES)
    edges = _most_first(row for row in rows if row["to_kind"])
    return BlastRadius(
        items=[
            Edge(
                **_counted(row), **{name: row[name] for name in ("from_kind", "from_id", "to_kind", "to_id")}
            )
            for row in edges[: parameters.limit]
        ],
        gaps=_gaps(parameters, rows, nodes, edges),
        kind=parameters.kind,
        id=parameters.id,
        action_count=total["action_count"],
        changing_count=total["changing_count"],
        denied_count=total["denied_count"],
        first_at=rfc3339(total["first_ns"]),
        last_at=rfc3339(total["last_ns"]),
        reached={row["from_kind"]: row["reached_count"] for row in sorted(nodes, key=_kind)},
        nodes=[
            Node(**_counted(row), kind=row["from_kind"], id=row["from_id"] or None)
            for row in nodes[: parameters.limit]
        ],
        cached_readers=[_cached_reader(row) for row in cached],
    )


def _cached(reader: Reader, parameters: BlastRadiusParameters, about: dict[str, Any]) -> list[dict[str, Any]]:
    """Who was served results of the reached traces from a cache, from the period's beginning until now."""
    times = EVERYWHERE
    traces = [
        row["trace"] for row in reader.rows("blast_radius_origins", {**about, "limit": _MAX_TRACES + 1})
    ]
    if len(traces) <= _MAX_TRACES:
        origins = [(attr.ATTRIBUTION_RESULT_ORIGIN_TRACE_ID, trace) for trace in traces]
        times = times_of(reader, origins, {**parameters.bounds(), "until": ALWAYS["until"]})
    if not (times["everywhere"] or times["steps"]):
        return []
    served = {f"served_{name}": value for name, value in times.items()}
    return reader.rows("blast_radius_cached", {**about, **served, "limit": parameters.limit})


def _most_first(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    # The query puts one of each kind first, and of equals any one: an answer is the same each time.
    return sorted(
        rows,
        key=lambda row: (
            -(row["action_count"] + row["denied_count"]),
            *(row[name] for name in ("from_kind", "from_id", "to_kind", "to_id")),
        ),
    )


def _kind(row: dict[str, Any]) -> str:
    return str(row["from_kind"])


def _counted(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "action_count": row["action_count"],
        "changing_count": row["changing_count"],
        "denied_count": row["denied_count"],
        "first_at": rfc3339(row["first_ns"]),
        "last_at": rfc3339(row["last_ns"]),
        "evidence": EvidenceLevel.SELF_ASSERTED if row["from_id"] else EvidenceLevel.MISSING,
        "span_ids": row["spans"],
    }


def _cached_reader(row: dict[str, Any]) -> CachedReader:
    return CachedReader(
        principal=row["principal"] or None,
        agent=row["agent"] or None,
        tool=row["tool"] or None,
        action_count=row["action_count"],
        first_at=rfc3339(row["first_ns"]),
        last_at=rfc3339(row["last_ns"]),
        evidence=EvidenceLevel.SELF_ASSERTED,
        span_ids=row["spans"],
    )


def _gaps(
    parameters: BlastRadiusParameters,
    rows: list[dict[str, Any]],
    nodes: list[dict[str, Any]],
    edges: list[dict[str, Any]],
) -> list[str]:
    gaps: list[str] = []
    for row in rows:
        if row["from_kind"] == "contradiction":
            count = row["action_count"] + row["denied_count"]
            gaps.append(
                f"the spans of {count} actions name several agents or principals; one of each is told"
            )
    for row in nodes:
        if not row["from_id"]:
            count = row["action_count"] + row["denied_count"]
            gaps.append(f"{count} actions name no {row['from_kind']}")
    for what, found in (("nodes", nodes), ("edges", edges)):
        kinds = {(row["from_kind"], row["to_kind"]): row["kind_count"] for row in found}
        if sum(kinds.values()) > parameters.limit:
            gaps.append(f"{sum(kinds.values())} {what} were reached, of which {parameters.limit} are told")
    return gaps


QUESTION = Question(
    "blast-radius",
    "What was reached from here?",
    BlastRadiusParameters,
    BlastRadius,
    blast_radius,
)
