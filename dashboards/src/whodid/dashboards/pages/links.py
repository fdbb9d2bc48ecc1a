"""Where everything has its page: the only place that knows a page's address."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from whodid.store.questions.question import MAX_ID_CHARACTERS

ENTITIES = {
    "principal": "Principal",
    "agent": "Agent",
    "credential": "Credential",
    "tool": "Tool",
    "resource": "Resource",
    "session": "Session",
}
"""What has a page of its own, by kind, and how a person calls it."""

_COLUMNS = {
    "actor.name": "agent",
    "agent": "agent",
    "agent_name": "agent",
    "approver": "principal",
    "credential": "credential",
    "credential_id": "credential",
    "initiator": "principal",
    "principal": "principal",
    "producer_principal": "principal",
    "reader_principal": "principal",
    "resource": "resource",
    "resource_id": "resource",
    "session": "session",
    "session_id": "session",
    "tool": "tool",
    "tool_name": "tool",
}
"""Which kind of entity a column of an answer names, by the last part of its name or all of it."""

_ACTIONS = frozenset(("action_id", "span_id"))
_TRACES = frozenset(("trace_id",))
_TASKS = frozenset(("task", "task_id"))

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses of pages, for a viewer who looks at one tenant."""

    tenant: str | None = None
    """Kept in every address where the viewer named one; None for the viewer's own."""

    def to(self, path: str, pairs: Iterable[tuple[str, str]] = ()) -> str:
        """A path with its parameters, and the tenant."""
        given = [(name, text) for name, text in pairs if name != "tenant"]
        if self.tenant is not None:
            given.append(("tenant", self.tenant))
        return f"{path}?{urlencode(given)}" if given else path

    def action(self, id_: str, span: str = "") -> str:
        """`span`: the action by one of its spans, should its own id be too long to be asked for."""
        asked = span if span and len(id_) > MAX_ID_CHARACTERS else id_
        return self.to(f"/action/{quote(asked, safe='')}")

    def trace(self, id_: str) -> str:
        return self.to(f"/trace/{quote(id_, safe='')}")

    def delegation(self, id_: str, of: str = "") -> str:
        """`of`: `session` or `action`, where it is known what the id is of."""
        return self.to(f"/delegation/{quote(id_, safe='')}", [("of", of)] if of else [])

    def span(self, trace: str, span: str) -> str:
        return self.to(f"/trace/{quote(trace, safe='')}/span/{quote(span, safe='')}")

    def entity(self, kind: str, id_: str) -> str:
        """Ids of entities may hold anything, also slashes, so they are parameters."""
        return self.to(f"/entity/{kind}", [("id", id_)])

    def blast_radius(self, kind: str, id_: str, period: Pairs = ()) -> str:
        return self.to("/blast-radius", [("kind", kind), ("id", id_), *period])

    def replay(self, session: str) -> str:
        return self.to("/replay", [("session", session)])

    def search(self, pairs: Pairs = ()) -> str:
        return self.to("/search", pairs)

    def decision(self, id_: str) -> str:
        return self.to("/decisions", [("id", id_)])

    def approval(self, id_: str) -> str:
        return self.to("/approvals", [("id", id_)])

    def question(self, name: str, pairs: Pairs = ()) -> str:
        return self.to(f"/questions/{name}", pairs)

    def statements(self, name: str, pairs: Pairs = ()) -> str:
        """The SQL behind an answer, for people."""
        return self.to(f"/questions/{name}/sql", pairs)

    def data(self, name: str, pairs: Pairs = (), form: str = "json") -> str:
        """The same answer as data, from the API."""
        more = [("format", form)] if form != "json" else []
        return self.to(f"/api/v1/{name}", [*pairs, *more])

    def of_cell(self, column: str, text: str) -> str | None:
        """The page about what a cell of a table names, if it has one."""
        last = column.rsplit(".", 1)[-1]
        if not text or len(text) > MAX_ID_CHARACTERS:
            return None
        if last in _TRACES:
            return self.trace(text)
        if last in _ACTIONS:
            return self.action(text)
        if last in _TASKS:
            return self.search([("task", text)])
        if last == "service":
            return self.search([("service", text)])
        if last == "decision_id":
            return self.decision(text)
        if last == "approval_id":
            return self.approval(text)
        kind = _COLUMNS.get(column) or _COLUMNS.get(last)
        return self.entity(kind, text) if kind else None
