"""From an id that somebody has to the action that it means, or a plain word that it means none or several."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whodid.processor.errors import WhodidError
from whodid.semconv import attributes as attr
from whodid.store.questions.id_times import times_of
from whodid.store.records import Candidate

if TYPE_CHECKING:
    from whodid.store.reader import Reader

MAX_CANDIDATES = 20

_MATCHED_BY = {
    "tool_call_id": attr.GEN_AI_TOOL_CALL_ID,
    "action_id": attr.ATTRIBUTION_ACTION_ID,
    "correlation_id": attr.ATTRIBUTION_CORRELATION_ID,
}
"""What an id may be beside a span's; what it is first of these is what it was found by."""


class UnknownIdError(WhodidError):
    """No span in the store has this id."""


class AmbiguousIdError(WhodidError):
    """The id means several actions."""

    def __init__(self, cause: str, hint: str, candidates: list[Candidate]) -> None:
        super().__init__(cause, hint)
        self.candidates = candidates


@dataclass(frozen=True, slots=True)
class Target:
    """What an id means: an action, or a span that belongs to none."""

    matched_by: str
    action_id: str
    """Empty for a span without an action."""
    span_id: str
    traces: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]
    """The spans that were found by the id, with what ties others to them: not all of an action's."""


def find(reader: Reader, id_: str) -> Target:
    """The one action or span that `id_` means.

    Raises UnknownIdError and AmbiguousIdError.
    """
    # An empty column means that the attribute is missing, so an empty id would mean every span without one.
    rows = _candidates(reader, id_) if id_ else []
    if not rows:
        raise UnknownIdError(
            f"no span, tool call, action or correlation id {id_!r} is in the store",
            "spans arrive when the agent's exporter sends them, up to five seconds after they end; "
            "check the id, and that the agent sends to this processor",
        )
    by_action: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_action.setdefault(row["action"] or f"span {row['span']}", []).append(row)
    # A span around an action may carry the same correlation id; only what acts is meant by it.
    actions = {key: found for key, found in by_action.items() if not key.startswith("span ")} or by_action
    if len(actions) > 1:
        raise _ambiguous(id_, actions)
    found = next(iter(actions.values()))
    first = found[0]
    traces = tuple(sorted({row["trace"] for row in found}))
    return Target(first["matched_by"], first["action"], first["span"], traces, tuple(found))


def unread(id_: str, read_count: int) -> UnknownIdError:
    """For an id that was found in spans which were then not among those that were read of their traces.

    They are beyond the first ones; or they are being stored at this moment: rows are there before the index
    that says when their trace was.
    """
    return UnknownIdError(
        f"the spans of {id_!r} are not among the first {read_count} of their trace",
        "they may have arrived at this moment: ask again",
    )


def _candidates(reader: Reader, id_: str) -> list[dict[str, Any]]:
    """The spans that an id may mean, a span's own id first."""
    rows: list[dict[str, Any]] = []
    if re.fullmatch(r"[0-9a-fA-F]{16}", id_):
        rows = reader.rows("candidates_span", {"span": id_.lower()})
    times = times_of(reader, [(attribute, id_) for attribute in _MATCHED_BY.values()])
    found = reader.rows("candidates", {"id": id_, **times}) if times["everywhere"] or times["steps"] else []
    return [*rows, *sorted(found, key=lambda row: list(_MATCHED_BY).index(row["matched_by"]))]


def _ambiguous(id_: str, actions: dict[str, list[dict[str, Any]]]) -> AmbiguousIdError:
    candidates = [
        Candidate(
            ask=found[0]["action"] or found[0]["span"],
            operation=found[0]["gen_ai_operation_name"],
            tool=found[0]["tool"],
            principal=found[0]["principal"],
            trace_id=found[0]["trace"],
        )
        for found in actions.values()
    ]
    more = f", the first {MAX_CANDIDATES} of which are listed" if len(candidates) > MAX_CANDIDATES else ""
    return AmbiguousIdError(
        f"{id_!r} means {len(candidates)} actions{more}",
        f"ask about one of them: whodid who {candidates[0].ask}",
        candidates[:MAX_CANDIDATES],
    )
