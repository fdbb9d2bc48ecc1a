"""Entity pages: all about one principal, agent, credential, tool, resource or session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whodid.dashboards.pages.blast_radius import by_kind
from whodid.dashboards.pages.links import ENTITIES
from whodid.dashboards.pages.look import Given
from whodid.dashboards.pages.page import Page, Panel
from whodid.semconv.registry import RULES
from whodid.store.questions import QUESTIONS
from whodid.store.questions.autonomy import Basis

if TYPE_CHECKING:
    from collections.abc import Callable

    from whodid.dashboards.pages.look import Look

_LONG, _DAY = "30d", "24h"
_SINCE = {"principal": _LONG, "credential": _LONG, "session": _LONG, "resource": "6h"}
"""What is looked up by the times of its id is told of the days that a store keeps by itself, others of one.

Of twenty million spans in six days those of an agent's took longer than a question may, and a resource's
actions of a day, which its first panel reads, a second.
"""
_REACHED = 50
"""How many neighbours are told; the blast radius has more."""


def _since(kind: str) -> str:
    return _SINCE.get(kind, _DAY)


def _about(
    name: str, kind: str, *more: tuple[str, str], panel: str = "", since: str = ""
) -> Callable[[Look], Given | None]:
    """Parameters of a question that takes the entity's id as `name`.

    `panel`: its listing has pages. `since`: where the page tells of more than this question can.
    """

    def parameters(look: Look) -> Given | None:
        id_ = look.get("id")
        if not id_:
            return None
        period = look.period(since or _since(kind))
        return [(name, id_), *more, *period, *(look.page(panel) if panel else [])]

    return parameters


def _glance(kind: str) -> Panel:
    if kind == "resource":
        return Panel(
            name="touched-by",
            title="Who touched it, with what",
            question=QUESTIONS["actions"],
            parameters=_about("resource", kind, ("facets", "true"), ("limit", "1")),
            template="panels/touched_by.html",
            lazy=True,
            paged=False,
        )
    return Panel(
        name="glance",
        title="At a glance",
        question=QUESTIONS["blast-radius"],
        parameters=_about("id", kind, ("kind", kind), ("limit", str(_REACHED))),
        template="panels/glance.html",
        lazy=kind in ("agent", "tool", "principal"),  # which may have done more than a page can wait for
    )


def _actions(kind: str) -> Panel:
    titles = {
        "principal": "What was done in their name",
        "agent": "What it did",
        "credential": "Actions with it",
        "tool": "What was done with it",
        "resource": "What was done to it",
        "session": "What was done in it",
    }
    return Panel(
        name="actions",
        title=f"{titles[kind]}, newest first",
        question=QUESTIONS["actions"],
        parameters=_about(kind, kind, ("limit", "25"), panel="actions"),
        template="panels/actions.html",
    )


def _findings(kind: str) -> Panel:
    """The actions with a finding of any rule: the validator finds about spans, and not about names."""
    rules = [("rule", rule) for rule in RULES]
    return Panel(
        name="findings",
        title="Actions with findings, newest first",
        question=QUESTIONS["actions"],
        parameters=_about(kind, kind, *rules, ("limit", "10"), panel="findings"),
        template="panels/with_findings.html",
        lazy=True,
    )


def _over_time(kind: str) -> Panel:
    return Panel(
        name="over-time",
        title="Over time",
        question=QUESTIONS["overview"],
        parameters=_about(kind, kind, ("by", "enforcement"), ("step", "hour"), ("limit", "1000")),
        template="panels/over_time.html",
    )


def _autonomy(kind: str) -> Panel:
    """What was done on which basis; listed is what nobody can be seen to have approved."""
    listed = [("basis", each.value) for each in (Basis.CLAIMED, Basis.AFTER_APPROVAL, Basis.ALONE)]
    title = "Not approved by anybody" if kind == "principal" else "What it did by itself"
    return Panel(
        name="autonomy",
        title=title,
        question=QUESTIONS["autonomy"],
        parameters=_about(kind, kind, *listed, ("limit", "10"), panel="autonomy"),
        template="panels/autonomy.html",
        lazy=True,
    )


def _list(name: str, title: str, question: str, kind: str, since: str = "") -> Panel:
    return Panel(
        name=name,
        title=title,
        question=QUESTIONS[question],
        parameters=_about(kind, kind, ("limit", "10"), panel=name, since=since),
        template=f"panels/{question.replace('-', '_')}.html",
        lazy=True,
    )


def _new_tools(look: Look) -> Given | None:
    if not look.get("id"):
        return None
    return [("kind", "tool"), ("limit", "1000"), *look.period(_since("agent"))]


_OWN: dict[str, tuple[Panel, ...]] = {
    "principal": (
        _autonomy("principal"),
        _list(
            "deputy",
            "Another's authority, a day if none is chosen",
            "confused-deputy",
            "principal",
            since=_DAY,
        ),
    ),
    "agent": (
        _over_time("agent"),
        _autonomy("agent"),
        Panel(
            name="new-tools",
            title="New tools",
            question=QUESTIONS["first-seen"],
            parameters=_new_tools,
            template="panels/new_tools.html",
            lazy=True,
            paged=False,
        ),
        _list("conflicts", "Who it says it is", "identity-conflicts", "agent"),
        _list("deputy", "Another's authority", "confused-deputy", "agent"),
        _list("retries", "Tried again with another credential", "new-credential-on-retry", "agent"),
    ),
    "credential": (
        Panel(
            name="uses",
            title="Every use, oldest first",
            question=QUESTIONS["credential"],
            parameters=lambda look: (
                [*_uses(look), *look.given("only"), *look.page("uses")] if look.get("id") else None
            ),
            template="panels/uses.html",
        ),
    ),
    "tool": (
        _over_time("tool"),
        _list("changed", "Its definition", "tool-changed", "tool"),
    ),
    "resource": (),
    "session": (
        Panel(
            name="steps",
            title="How it went",
            question=QUESTIONS["replay"],
            parameters=_about("session", "session", ("only_actions", "true"), ("limit", "1")),
            template="panels/session.html",
            paged=False,
        ),
    ),
}
"""What only a page of this kind has."""


def _uses(look: Look) -> Given:
    return [("id", look.get("id")), ("limit", "25"), *look.period(_since("credential"))]


def _look_for(look: Look) -> Callable[[str, str], str]:
    """The search for what one property of this resource's actions is."""
    return lambda name, text: look.links.search(
        [("resource", look.get("id")), (name, text), *look.period("")]
    )


def _page(kind: str) -> Page:
    panels = (_glance(kind), *_OWN[kind], _findings(kind), _actions(kind))
    return Page(
        name=f"entity-{kind}",
        path=f"/entity/{kind}",
        title=lambda look: f"{ENTITIES[kind]} {look.get('id')}".strip(),
        has_period=True,
        since=lambda _look: _since(kind),
        template="entity.html",
        more=lambda look: {"kind": kind, "by_kind": by_kind, "look_for": _look_for(look)},
        panels=panels,
    )


ENTITY_PAGES = tuple(_page(kind) for kind in ENTITIES)
