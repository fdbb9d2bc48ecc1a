"""What an id means: the action, trace, session, credential, decision, approval or name that it is."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from whodid.store.questions import QUESTIONS, AmbiguousIdError, UnknownIdError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whodid.dashboards.pages.asked import Asked
    from whodid.dashboards.pages.links import Links
    from whodid.dashboards.pages.look import Given
    from whodid.dashboards.pages.page import Ask
    from whodid.processor.errors import WhodidError
    from whodid.store.questions.actions import Action

_LOOKED_AT = "20"
"""Of how many actions with the id it is seen what it is of them."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """Something that an id means, and its page."""

    kind: str
    id: str
    url: str
    note: str = ""


@dataclass(slots=True)
class Meanings:
    """What an id means; `errors` are why some of it could not be looked up."""

    found: list[Meaning] = field(default_factory=list[Meaning])
    errors: list[WhodidError] = field(default_factory=list["WhodidError"])


async def meanings(ask: Ask, links: Links, id_: str) -> Meanings:
    """Everything that the id means. What costs more is asked where the cheaper know nothing."""
    found = Meanings()
    steps = (_ids(ask, links, id_), _properties(ask, links, id_), _without_actions(ask, links, id_))
    for step in steps:
        if found.found:
            step.close()
            continue
        several, errors = await step
        found.found = list(dict.fromkeys(several))
        found.errors += [each for each in errors if not isinstance(each, UnknownIdError | AmbiguousIdError)]
    return found


_Step = tuple[list[Meaning], "list[WhodidError]"]


async def _asked(ask: Ask, *questions: tuple[str, Given]) -> tuple[list[Asked], list[WhodidError]]:
    several = await asyncio.gather(*(ask(QUESTIONS[name], given) for name, given in questions))
    return several, [asked.error for asked in several if asked.error is not None]


async def _ids(ask: Ask, links: Links, id_: str) -> _Step:
    """A trace, or an action by its span, call, action or correlation id."""
    if re.fullmatch(r"[0-9a-fA-F]{32}", id_):
        (trace,), errors = await _asked(ask, ("trace", [("trace_id", id_.lower())]))
        if trace.answer is not None:
            return [Meaning("trace", id_.lower(), links.trace(id_.lower()))], errors
    (who,), errors = await _asked(ask, ("who", [("id", id_)]))
    if who.answer is not None:
        action = who.answer.action_id or who.answer.id
        return [Meaning("action", action, links.action(action))], errors
    several = [
        Meaning(
            "action", each.ask, links.action(each.ask), f"{each.tool} for {each.principal or 'nobody named'}"
        )
        for each in who.candidates
    ]
    return several, errors


async def _properties(ask: Ask, links: Links, id_: str) -> _Step:
    """What it is of actions that name it: one question knows all ids, names need one each."""
    names = ("agent", "tool", "resource")
    several, errors = await _asked(
        ask,
        ("actions", [("id", id_), ("limit", _LOOKED_AT)]),
        *(("actions", [(name, id_), ("limit", "1")]) for name in names),
    )
    found: list[Meaning] = []
    by_id, *by_name = several
    if by_id.answer is not None:
        found += [each for action in by_id.answer.items for each in _of_action(links, id_, action)]
    for name, asked in zip(names, by_name, strict=True):
        if asked.answer is not None and asked.answer.items:
            found.append(Meaning(name, id_, links.entity(name, id_)))
    return found, errors


def _of_action(links: Links, id_: str, action: Action) -> Iterator[Meaning]:
    if action.session_id == id_:
        yield Meaning("session", id_, links.entity("session", id_))
    if action.credential_id == id_:
        yield Meaning("credential", id_, links.entity("credential", id_))
    if action.approval_id == id_:
        yield Meaning("approval", id_, links.approval(id_))
    if action.principal.value == id_:
        yield Meaning("principal", id_, links.entity("principal", id_))
    if action.task.value == id_:
        yield Meaning("task", id_, links.search([("task", id_)]))


async def _without_actions(ask: Ask, links: Links, id_: str) -> _Step:
    """What no action names, or not as its own: an unused approval, a session without a tool, a decision."""
    ways = {
        "session": ("replay", [("session", id_), ("limit", "1")], links.entity("session", id_)),
        "credential": ("credential", [("id", id_), ("limit", "1")], links.entity("credential", id_)),
        "decision": ("decisions", [("id", id_), ("limit", "1")], links.decision(id_)),
        "approval": ("approvals", [("id", id_), ("limit", "1")], links.approval(id_)),
        "approver": (
            "approvals",
            [("approver", id_), ("limit", "1")],
            links.to("/approvals", [("approver", id_)]),
        ),
        "principal": (
            "blast-radius",
            [("kind", "principal"), ("id", id_), ("limit", "1")],
            links.entity("principal", id_),
        ),
    }
    several, errors = await _asked(ask, *((name, given) for name, given, _ in ways.values()))
    found = [
        Meaning(kind, id_, url)
        for (kind, (_, _, url)), asked in zip(ways.items(), several, strict=True)
        if asked.answer is not None and (kind == "session" or asked.answer.items)
    ]
    return found, errors
