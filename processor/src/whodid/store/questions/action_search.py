"""Finds the actions that have some properties: newest first, in pieces of time no longer than needed."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from whodid.semconv import attributes as attr
from whodid.store.derived import LOOKED_UP
from whodid.store.questions.evidence import moment
from whodid.store.questions.id_times import EVERYWHERE, times_of
from whodid.store.questions.spans import in_traces

if TYPE_CHECKING:
    from whodid.store.questions.action_filters import ActionsParameters
    from whodid.store.reader import Reader

Row = dict[str, Any]
Key = tuple[int, str, str]
"""Where an action is in the listing: its time in ns, its trace, its id."""

MARGIN = datetime.timedelta(minutes=10)
"""How far from an action's start its other spans are looked for (the query's steps say the same)."""

MAX_CANDIDATES = 20_000
"""How many actions are looked at for one page."""

FACET_SPANS = 50_000
"""About how many spans the facets are counted from, the newest first."""

FACET_VALUES = 10
_MAX_HOURS = 20_000
_FIRST_SPANS = 20_000
"""How many spans the first piece of time is to have where nothing counts what is asked for."""
_GROWTH = 8
_FIRST_STEPS = 64
_LAST = ("\U0010ffff", "\U0010ffff")
"""After every trace and every key."""

_FILTERS = (
    "id",
    "credential",
    "session",
    "task",
    "principal",
    "rule",
    "resource",
    "initiator",
    "error",
    "enforcement",
    "resource_type",
    "tool",
    "agent",
    "effect",
    "mode",
    "decision",
    "service",
)
"""The filters by which a span can be looked up, those that leave most out first. The first one drives."""

_LOOKED_UP: Mapping[str, tuple[str, ...]] = {
    "id": LOOKED_UP,
    "credential": (attr.ATTRIBUTION_CREDENTIAL_ID,),
    "session": (attr.SESSION_ID, attr.GEN_AI_CONVERSATION_ID),
    "task": (attr.ATTRIBUTION_TASK_ID,),
    "principal": (attr.ATTRIBUTION_PRINCIPAL_ID,),
}
"""Of which attributes a filter's values are ids whose times are known."""

_WITHOUT_FIRST = (
    "principal",
    "initiator",
    "task",
    "agent",
    "mode",
    "decision",
    "tool",
    "credential",
    "resource",
)
"""What an action may lack; what the fewest do, first."""

_COUNTED = {"agent", "tool", "service", "mode", "decision", "enforcement"}
"""The filters that the hourly counts know."""

_LEAVE_LITTLE_OUT = {"resource_type", "tool", "agent", "effect", "mode", "decision", "service"}

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Search:
    """One search, of which a page and its facets are told."""

    def __init__(self, reader: Reader, parameters: ActionsParameters) -> None:
        self._reader = reader
        self._bounds = parameters.bounds()
        self._given: Row = {name: list(getattr(parameters, name)) for name in _FILTERS}
        self._asked: Row = {
            **self._given,
            "status": list(parameters.status),
            "without": list(parameters.without),
            "operations": list(parameters.operations),
            "facet_values": FACET_VALUES,
        }
        self._driver = self._chosen(parameters)
        self._times, traces = self._where()
        self._asked |= {"driver": self._driver, "traces": traces, **self._times}

    def _chosen(self, parameters: ActionsParameters) -> str:
        """The condition that leaves most out, of those that a single span can tell."""
        driver = next((name for name in _FILTERS if self._given[name]), "")
        if not driver or driver in _LEAVE_LITTLE_OUT:
            driver = next(
                (f"without_{name}" for name in _WITHOUT_FIRST if name in parameters.without), driver
            )
            if set(parameters.status) == {"failed"}:
                driver = "failed"
        return driver

    def page(self, before: Key | None, limit: int) -> tuple[list[Row], Key | None]:
        """The rows of a page, and where the next one begins; None on the last one."""
        taken: list[Row] = []
        looked_at = 0
        begin: Key = before or (_ns(self._bounds["until"]), *_LAST)
        until = min(self._bounds["until"], moment(begin[0]) + datetime.timedelta(microseconds=1))
        for first, to in self._pieces(until, limit):
            while True:
                wanted = limit + 1 - len(taken)
                keys = self._rows("actions_keys", first, to, begin, limit=wanted)
                taken += self._load(keys)
                looked_at += len(keys)
                if keys:
                    begin = (keys[-1]["start_ns"], keys[-1]["trace"], keys[-1]["key"])
                if len(taken) > limit:
                    last = taken[limit - 1]
                    return taken[:limit], (last["start_ns"], last["trace"], last["key"])
                if looked_at >= MAX_CANDIDATES:
                    return taken, begin
                if len(keys) < wanted:
                    break
        return taken, None

    def facets(self) -> tuple[list[Row], int | None]:
        """How often the newest actions say what, and since when they are counted; None: all of them."""
        pieces = self._pieces(self._bounds["until"], 0, spans=FACET_SPANS)
        first, to = next(pieces)
        begin: Key = (_ns(self._bounds["until"]), *_LAST)
        rows = self._rows("actions_facets", first, to, begin, limit=1)
        whole = next(pieces, None) is None
        return rows, None if whole else _ns(first)

    def _where(self) -> tuple[Mapping[str, Any], list[str]]:
        """In which five minutes the ids are that the search starts from, and the traces that they name."""
        values: list[str] = self._given.get(self._driver, [])
        names = _LOOKED_UP.get(self._driver, ())
        if not names:
            return EVERYWHERE, []
        times = times_of(self._reader, [(name, id_) for name in names for id_ in values], self._bounds)
        if self._driver != "id":
            return times, []
        traces = [id_.lower() for id_ in values if re.fullmatch(r"[0-9a-fA-F]{32}", id_)]
        for id_ in values:
            if re.fullmatch(r"[0-9a-fA-F]{16}", id_):
                traces += [
                    row["trace"] for row in self._reader.rows("candidates_span", {"span": id_.lower()})
                ]
        self._asked["id"] = list({*values, *(id_.lower() for id_ in values)})
        if not traces or times["everywhere"]:
            return times, traces
        asked = in_traces(self._reader, sorted(set(traces)))
        steps = _steps(asked["first_ns"], asked["last_ns"]) if asked["last_ns"] else []
        if steps is None:
            return EVERYWHERE, traces
        return {"everywhere": False, "steps": sorted({*times["steps"], *steps})}, traces

    def _pieces(
        self, until: datetime.datetime, limit: int, *, spans: int = 0
    ) -> Iterator[tuple[datetime.datetime, datetime.datetime]]:
        """The period from its end to its beginning, in pieces of more and more spans."""
        since = self._bounds["since"]
        for boundary in self._boundaries(until, limit, spans):
            if since < boundary < until:
                yield boundary, until
                until = boundary
        if since < until:
            yield since, until

    def _boundaries(self, until: datetime.datetime, limit: int, spans: int) -> Iterator[datetime.datetime]:
        if not self._times["everywhere"]:
            steps: list[datetime.datetime] = self._times["steps"][::-1]
            if not spans:
                at, size = _FIRST_STEPS, _FIRST_STEPS
                while at < len(steps):
                    yield _aware(steps[at - 1]) - datetime.timedelta(minutes=5)
                    size *= _GROWTH
                    at += size
            return
        counted = all(name in _COUNTED for name in _FILTERS if self._given[name])
        counted = counted and not self._asked["status"] and not self._asked["without"]
        wanted = spans or (4 * (limit + 1) if counted else _FIRST_SPANS)
        found = 0
        for row in self._reader.rows("actions_hours", self._asked | self._bounds | {"limit": _MAX_HOURS}):
            at = moment(row["hour_s"] * 1_000_000_000)
            if at >= until:
                continue
            found += row["span_count"]
            if found >= wanted:
                yield at
                found, wanted = 0, wanted * _GROWTH

    def _rows(
        self, query: str, first: datetime.datetime, to: datetime.datetime, begin: Key, *, limit: int
    ) -> list[Row]:
        asked = {
            **self._asked,
            "from": max(_EPOCH, first - min(MARGIN, first - _EPOCH)),
            "to": to + MARGIN,
            "first_ns": _ns(first),
            "before_ns": min(begin[0], _ns(to)),
            "before_trace": begin[1] if begin[0] < _ns(to) else "",
            "before_key": begin[2] if begin[0] < _ns(to) else "",
            "limit": limit,
        }
        return self._reader.rows(query, asked)

    def _load(self, keys: list[Row]) -> list[Row]:
        """The whole of some actions, in their order.

        Not of one whose spans say another time than those that were looked at for it: a decision hours before
        the execution. It is in the listing where it ran.
        """
        if not keys:
            return []
        wanted = {(row["trace"], row["key"]): row["start_ns"] for row in keys}
        asked = {
            **in_traces(self._reader, sorted({trace for trace, _ in wanted})),
            "keys": sorted({key for _, key in wanted}),
            "operations": self._asked["operations"],
            "limit": 2 * len(keys),
        }
        rows = self._reader.rows("actions", asked)
        return [row for row in rows if wanted.get((row["trace"], row["key"])) == row["start_ns"]]


def _steps(first_ns: int, last_ns: int) -> list[datetime.datetime] | None:
    """The five minutes between two times; None where they are too many to be named."""
    length_ns = 300 * 1_000_000_000
    numbers = range(first_ns // length_ns, last_ns // length_ns + 1)
    return [moment(number * length_ns) for number in numbers] if len(numbers) <= 1_000 else None


def _aware(step: datetime.datetime) -> datetime.datetime:
    return step if step.tzinfo else step.replace(tzinfo=datetime.UTC)


def _ns(at: datetime.datetime) -> int:
    return (at - _EPOCH) // datetime.timedelta(microseconds=1) * 1_000
