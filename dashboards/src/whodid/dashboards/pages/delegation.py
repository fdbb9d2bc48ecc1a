"""Delegation: through whose hands the authority for an action, or for all of a session, went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whodid.dashboards.pages.look import Given
from whodid.dashboards.pages.page import Page, Panel
from whodid.semconv.values import EvidenceLevel
from whodid.store.questions import QUESTIONS
from whodid.store.questions.ancestry import How

if TYPE_CHECKING:
    from whodid.dashboards.pages.links import Links
    from whodid.dashboards.pages.look import Look
    from whodid.dashboards.pages.page import Ask
    from whodid.store.questions.blast_radius import BlastRadius, Edge
    from whodid.store.questions.chain import ChainRecord, Link
    from whodid.store.records import Answer, WhoRecord

OF_SESSION, OF_ACTION = "session", "action"
"""Values of `of` in the address: what kind of thing the id is of."""

HOWS = {
    How.ITSELF: "it acted",
    How.PARENT: "a span above the action's",
    How.SPAN_LINK: "a span in another trace that links here",
    How.SAME_TASK: "a span of the same task",
    How.SAME_CORRELATION: "a span with the same correlation id",
    How.SAID_ONLY: "said by the acting agent alone: no span shows it",
}
"""What ties a link of the chain to the action, for people."""

_TIES = {
    How.ITSELF: "it acted",
    How.PARENT: "parent span",
    How.SPAN_LINK: "linked span",
    How.SAME_TASK: "same task",
    How.SAME_CORRELATION: "same correlation id",
    How.SAID_ONLY: "no span shows it",
}

_KINDS = ("initiator", "principal", "agent", "tool")
"""What a session's picture has of everything that was reached."""
_SESSION_LIMIT = "1000"


def drawn_chain(chain: ChainRecord, who: WhoRecord | None, links: Links) -> dict[str, Any]:
    """The chain as `static/graph.js` reads it. What no span shows is a broken line, never a whole one."""
    nodes: list[dict[str, Any]] = []
    edges: list[dict[str, Any]] = []
    for link in chain.links:
        nodes.append(_node(link, links))
        if link.position:
            edges.append(
                {
                    "source": f"link-{link.position - 1}",
                    "target": f"link-{link.position}",
                    "evidence": link.evidence.value,
                    "broken": link.how is How.SAID_ONLY,
                    "label": _TIES[link.how],
                }
            )
    if not chain.links:
        nodes, edges = _unchained(chain, who, links)
    _add_initiator(chain, nodes, edges, links)
    _add_others(chain, nodes, edges, links)
    if who is not None:
        _add_action(who, nodes, edges, links)
    return {"nodes": nodes, "edges": edges}


def authority(who: WhoRecord) -> list[str]:
    """By what right the acting agent used its tool, in a few words each, as far as it is recorded."""
    decision, approval = who.decision, who.approval
    found: list[str] = []
    if approval.status.value == "granted":
        found.append(f"approved by {_text(approval.approver) or 'somebody'}")
    elif approval.status.value:
        found.append(f"approval {approval.status.value}")
    if decision.outcome.value:
        found.append(
            "held back by policy" if who.outcome.status == "denied" else f"policy: {_text(decision.outcome)}"
        )
    if who.credential.id.value:
        found.append("with a credential")
    return found


def drawn_session(answer: BlastRadius, links: Links) -> dict[str, Any]:
    """Who acted for whom with which tools in a session, as `static/graph.js` reads it."""
    edges = hops(answer)
    ends = dict.fromkeys(
        end for edge in edges for end in ((edge.from_kind, edge.from_id), (edge.to_kind, edge.to_id))
    )
    named = [
        {"id": f"{kind} {id_}", "kind": kind, "label": id_, "url": links.entity(_page(kind), id_)}
        for kind, id_ in ends
    ]
    nobody = [
        {
            "id": f"no {node.kind}",
            "kind": node.kind,
            "label": "",
            "evidence": "missing",
            "note": f"{node.action_count} actions",
        }
        for node in answer.nodes
        if node.id is None and node.kind in _KINDS
    ]
    return {
        "nodes": [*named, *nobody],
        "edges": [
            {
                "source": f"{edge.from_kind} {edge.from_id}",
                "target": f"{edge.to_kind} {edge.to_id}",
                "count": edge.action_count,
                "denied": edge.denied_count,
                "evidence": edge.evidence.value,
            }
            for edge in edges
        ],
    }


def hops(answer: BlastRadius) -> list[Edge]:
    """Who acted for whom, who handed on to whom, and who used what."""
    return [edge for edge in answer.items if edge.from_kind in _KINDS and edge.to_kind in _KINDS]


def _node(link: Link, links: Links) -> dict[str, Any]:
    kind = "agent" if link.position else "principal"
    return {
        "id": f"link-{link.position}",
        "kind": kind,
        "label": link.name,
        "note": link.service or "",
        "url": links.entity(kind, link.name),
    }


def _unchained(
    chain: ChainRecord, who: WhoRecord | None, links: Links
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is left where the action names no chain: a principal and an agent perhaps, and a gap between."""
    nodes = [_named("principal", chain.principal, links)]
    if who is None:
        return nodes, []
    nodes.append(_named("agent", who.actor.name, links))
    return nodes, [
        {"source": "principal", "target": "agent", "broken": True, "label": "no chain is recorded"}
    ]


def _named(kind: str, answer: Answer, links: Links) -> dict[str, Any]:
    text = _text(answer)
    return {
        "id": kind,
        "kind": kind,
        "label": text,
        "evidence": answer.evidence.value,
        "url": links.entity(kind, text) if text else "",
    }


def _add_initiator(
    chain: ChainRecord, nodes: list[dict[str, Any]], edges: list[dict[str, Any]], links: Links
) -> None:
    initiator = _text(chain.initiator)
    if initiator == _text(chain.principal):
        return
    label = "began it" if initiator else "nobody is recorded"
    node = {
        "id": "initiator",
        "kind": "initiator",
        "label": initiator,
        "evidence": chain.initiator.evidence.value,
    }
    edge = {
        "source": "initiator",
        "target": nodes[0]["id"],
        "label": label,
        "evidence": chain.initiator.evidence.value,
        "broken": not initiator,
    }
    nodes.insert(0, node | {"url": links.entity("principal", initiator) if initiator else ""})
    edges.insert(0, edge)


def _add_others(
    chain: ChainRecord, nodes: list[dict[str, Any]], edges: list[dict[str, Any]], links: Links
) -> None:
    """Agents that spans show and the chain does not name, and those that the acting one handed on to."""
    acting = nodes[-1]["id"]
    for at, passed in enumerate(chain.unnamed):
        url = links.entity("agent", passed.name)
        nodes.append(
            {
                "id": f"unnamed-{at}",
                "kind": "agent",
                "label": passed.name,
                "note": "not named in the chain",
                "url": url,
            }
        )
        edges.append(
            {
                "source": f"unnamed-{at}",
                "target": acting,
                "label": "above it",
                "evidence": EvidenceLevel.PROPAGATED.value,
            }
        )
    by_chain = {tuple(each.chain): f"onward-{at}" for at, each in enumerate(chain.onward)}
    told = tuple(link.name for link in chain.links)
    for at, onward in enumerate(chain.onward):
        before = tuple(onward.chain[:-1])
        source = acting if before == told else by_chain.get(before)
        nodes.append(
            {
                "id": f"onward-{at}",
                "kind": "agent",
                "label": onward.name,
                "note": "it went on to",
                "url": links.entity("agent", onward.name),
            }
        )
        edges.append(
            {
                "source": source or acting,
                "target": f"onward-{at}",
                "evidence": EvidenceLevel.SELF_ASSERTED.value,
                "broken": source is None,
                "label": "handed on" if source else "through others",
            }
        )


def _add_action(
    who: WhoRecord, nodes: list[dict[str, Any]], edges: list[dict[str, Any]], links: Links
) -> None:
    tool = _text(who.tool.name)
    if not tool:
        return
    agents = [each for each in nodes if each["kind"] == "agent" and each["id"].startswith(("link-", "agent"))]
    acting = agents[-1] if agents and agents[-1]["label"] == _text(who.actor.name) else None
    if acting is None:  # the chain ends with another one than acted: nothing leads from there to here
        acting = _named("agent", who.actor.name, links)
        nodes.append(acting)
    nodes.append(
        {"id": "tool", "kind": "tool", "label": tool, "start": True, "url": links.entity("tool", tool)}
    )
    edges.append(
        {
            "source": acting["id"],
            "target": "tool",
            "evidence": who.tool.name.evidence.value,
            "denied": int(who.outcome.status == "denied"),
            "label": "\n".join(authority(who)) or "no authority is recorded",
            "broken": who.outcome.status == "not_recorded",
        }
    )
    resource = _text(who.resource.id)
    if resource:
        url = links.entity("resource", resource)
        nodes.append({"id": "resource", "kind": "resource", "label": resource, "url": url})
        edges.append(
            {
                "source": "tool",
                "target": "resource",
                "evidence": who.resource.id.evidence.value,
                "label": _text(who.tool.effect),
            }
        )


def _page(kind: str) -> str:
    return "principal" if kind == "initiator" else kind


def _text(answer: Answer) -> str:
    return answer.value if isinstance(answer.value, str) else ""


async def _of(look: Look, ask: Ask) -> str | dict[str, Any]:
    """Where the address does not say what the id is of: a session, if one has it; otherwise an action."""
    if look.get("of"):
        return {}
    id_ = look.get("id")
    session = await ask(QUESTIONS["replay"], [("session", id_), ("limit", "1")])
    return look.links.delegation(id_, OF_SESSION) if session.error is None else {}


def _of_action(look: Look) -> Given | None:
    return None if look.get("of") == OF_SESSION else [("id", look.get("id"))]


def _of_session(look: Look) -> Given | None:
    if look.get("of") != OF_SESSION:
        return None
    return [("kind", "session"), ("id", look.get("id")), ("limit", _SESSION_LIMIT)]


def _done(look: Look) -> Given | None:
    if look.get("of") != OF_SESSION:
        return None
    return [("session", look.get("id")), ("only_actions", "true"), ("limit", "100"), *look.page("done")]


DELEGATION = Page(
    name="delegation",
    path="/delegation/{id}",
    title=lambda look: (
        f"Delegation in session {look.get('id')}"
        if look.get("of") == OF_SESSION
        else f"Delegation behind {look.get('id')}"
    ),
    about="Through whose hands the authority went, from whoever began it to what was done.",
    template="delegation.html",
    before=_of,
    more=lambda _look: {
        "hows": HOWS,
        "authority": authority,
        "hops": hops,
        "drawn_chain": drawn_chain,
        "drawn_session": drawn_session,
    },
    panels=(
        Panel(
            name="chain",
            title="The chain",
            question=QUESTIONS["chain"],
            parameters=_of_action,
            template="panels/chain.html",
        ),
        Panel(
            name="action",
            title="By what right it was done",
            question=QUESTIONS["who"],
            parameters=_of_action,
            template="panels/right.html",
        ),
        Panel(
            name="session",
            title="Who acted for whom, over all its traces",
            question=QUESTIONS["blast-radius"],
            parameters=_of_session,
            template="panels/session_hops.html",
        ),
        Panel(
            name="done",
            title="What was decided and done, each with a chain of its own",
            question=QUESTIONS["replay"],
            parameters=_done,
            template="panels/session_done.html",
            lazy=True,
        ),
    ),
)
