"""Whether a tool call's id means one action of its conversation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from whodid.processor.batch import Findings, Mask, Rows
from whodid.processor.rules.telling import per_row, pick, quoted
from whodid.processor.rules.view import Codes, View, differ, encode, uses
from whodid.semconv import attributes as attr
from whodid.semconv.values import FindingRule

_CALL = attr.GEN_AI_TOOL_CALL_ID
_ACTION = attr.ATTRIBUTION_ACTION_ID
_ARGUMENTS = attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH
_OF_ACTIONS = uses(_ARGUMENTS)
"""A message on an action's way tells its id only: whether it is the same call, other spans say."""


def call_id_reused(view: View) -> Iterator[Findings]:
    """Two different actions of one conversation (of one trace, where none is named) have one call id.

    The same tool with the same arguments once more is a call that was paused and taken up again, or tried a
    second time: that is one call, and its id.
    """
    calls, actions = view.codes(_CALL), view.codes(_ACTION)
    of_actions = np.logical_or.reduce([view.operation(name) for name in _OF_ACTIONS])
    rows = np.flatnonzero(of_actions & (calls >= 0) & (actions >= 0))
    if not len(rows) or not _differs_from_first(calls[rows], actions[rows], rows)[0].any():
        return
    rows = rows[np.argsort(view.times_ns("start_time")[rows], kind="stable")]
    _, keys = np.unique(
        _conversations(view)[rows] * (int(calls.max()) + 1) + calls[rows], return_inverse=True
    )
    again, first = _differs_from_first(keys, actions[rows], rows)
    again &= ~_same_call(view, rows, first)
    rows, first = rows[again], first[again]
    yield from per_row(
        FindingRule.CALL_ID_REUSED,
        _CALL,
        rows,
        lambda at: (
            f"{_CALL} {quoted(view.text(_CALL, rows[at]))} is also that of action "
            f"{quoted(view.text(_ACTION, first[at]))}; expected another for each call of a conversation"
        ),
        f"{_CALL} is also another action's; expected another for each call of a conversation",
    )


def _differs_from_first(keys: Codes, actions: Codes, rows: Rows) -> tuple[Mask, Rows]:
    """Whether a row's action is another than that of the first row with its key; and those first rows."""
    first = np.zeros(int(keys.max()) + 1, dtype=np.int64)
    first[keys[::-1]] = np.arange(len(rows))[::-1]  # the first is written last
    return actions != actions[first[keys]], rows[first[keys]]


def _conversations(view: View) -> Codes:
    """Per span a number that the spans of one conversation share."""
    conversations = view.codes(attr.GEN_AI_CONVERSATION_ID)
    traces = encode(view.ids("trace_id")).codes
    return np.where(conversations >= 0, conversations, traces + int(conversations.max(initial=-1)) + 1)


def _same_call(view: View, rows: Rows, others: Rows) -> Mask:
    arguments = view.codes(_ARGUMENTS)
    same = (arguments[rows] >= 0) & (arguments[rows] == arguments[others])
    tools = view.agreed(attr.GEN_AI_TOOL_NAME)
    return same if tools is None else same & ~differ(pick(tools, rows), pick(tools, others))
