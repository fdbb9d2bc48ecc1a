"""Blast radius: everything that was reached from a credential, an agent or another start, in a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whodid.dashboards.pages.look import Given
from whodid.dashboards.pages.page import Page, Panel
from whodid.store.questions import QUESTIONS
from whodid.store.questions.blast_radius import LOOKED_UP, Start

if TYPE_CHECKING:
    from whodid.dashboards.pages.links import Links
    from whodid.dashboards.pages.look import Look
    from whodid.store.questions.blast_radius import BlastRadius, Edge, Node

_OF_AN_ID, _OF_A_NAME = "7d", "3h"
"""Since when it tells of what is looked up by the times of its id, and of what a whole period is read for."""
LIMITS = ("100", "1000", "10000")
"""How many nodes and edges a reader may ask for; the first is what the page begins with."""
MAX_DRAWN = 40
"""Edges in the picture: beyond it nobody can read it. The tables have all."""
MAX_LABEL_CHARACTERS = 200

_KINDS = ("principal", "agent", "credential", "tool", "resource", "session", "task", "model", "service")
"""In the order in which they are told: who, with what, on what, and where."""


def _asked(look: Look) -> Given | None:
    kind, id_ = look.get("kind"), look.get("id")
    if not kind or not id_:
        return None
    limit = look.get("limit", LIMITS[0])
    return [("kind", kind), ("id", id_), ("limit", limit), *look.period(_since(look))]


def _since(look: Look) -> str:
    return _OF_AN_ID if look.get("kind") in LOOKED_UP else _OF_A_NAME


def _title(look: Look) -> str:
    id_ = look.get("id")
    return f"What was reached from {look.get('kind')} {id_}" if id_ else "Blast radius"


def by_kind(answer: BlastRadius) -> list[tuple[str, list[Node]]]:
    """The nodes of each kind, those with the most actions first."""
    found = {kind: [node for node in answer.nodes if node.kind == kind] for kind in _KINDS}
    others = sorted({node.kind for node in answer.nodes} - set(_KINDS))
    found |= {kind: [node for node in answer.nodes if node.kind == kind] for kind in others}
    return [(kind, nodes) for kind, nodes in found.items() if nodes]


def drawn(answer: BlastRadius, links: Links) -> dict[str, Any]:
    """The picture of it: nodes and edges as `static/graph.js` reads them."""
    # A stable sort: among those that say the same much, the ones with the most actions come first.
    edges = sorted(answer.items, key=_is_aside)[:MAX_DRAWN]
    ends = [end for edge in edges for end in ((edge.from_kind, edge.from_id), (edge.to_kind, edge.to_id))]
    numbers = {end: f"n{number}" for number, end in enumerate(dict.fromkeys(ends))}
    counted = {(node.kind, node.id): node.action_count for node in answer.nodes}
    return {
        "nodes": [
            {
                "id": number,
                "kind": kind,
                "label": id_[:MAX_LABEL_CHARACTERS],
                "note": _actions(counted.get((kind, id_))),
                "start": (kind, id_) == (answer.kind, answer.id),
                "evidence": "" if id_ else "missing",
                "url": links.of_cell(kind, id_) or "",
            }
            for (kind, id_), number in numbers.items()
        ],
        "edges": [
            {
                "source": numbers[edge.from_kind, edge.from_id],
                "target": numbers[edge.to_kind, edge.to_id],
                "count": edge.action_count,
                "denied": edge.denied_count,
                "evidence": edge.evidence.value,
            }
            for edge in edges
        ],
        "left_out": len(answer.items) - len(edges),
    }


def _is_aside(edge: Edge) -> bool:
    """Whether it only says in which work something was done, and not who reached what."""
    return edge.to_kind in ("session", "task", "service")


def _actions(count: int | None) -> str:
    return "" if count is None else f"{count:,} action{'s' if count != 1 else ''}"


BLAST_RADIUS = Page(
    name="blast-radius",
    path="/blast-radius",
    title=_title,
    in_menu="Blast radius",
    about="Everybody and everything that was reached from one start, and what was held back on the way.",
    has_period=True,
    since=_since,
    template="blast_radius.html",
    more=lambda _look: {
        "starts": [each.value for each in Start],
        "limits": LIMITS,
        "by_kind": by_kind,
        "drawn": drawn,
    },
    panels=(
        Panel(
            name="reached",
            title="What was reached",
            question=QUESTIONS["blast-radius"],
            parameters=_asked,
            template="panels/reached.html",
        ),
    ),
)
