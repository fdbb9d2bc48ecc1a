"""Whether an action used its credential within its lifetime and for the task that it was issued for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from whodid.processor.batch import Findings, Mask
from whodid.processor.rules.clocks import SKEW_US
from whodid.processor.rules.telling import per_row, quoted
from whodid.processor.rules.view import View, differ
from whodid.semconv import attributes as attr
from whodid.semconv.values import FindingRule

_USING = ("execute_tool", "chat", "mcp.client", "mcp.server")
"""The operations that use the credential they name. An agent at work merely has one, and may get another."""


def credential_not_valid(view: View) -> Iterator[Findings]:
    """The action began before the credential was good or after it had expired."""
    used = _used(view)
    if not used.any():
        return
    start_us = view.times_ns("start_time") // 1_000
    not_before = view.instants(attr.ATTRIBUTION_CREDENTIAL_NOT_BEFORE)
    not_after = view.instants(attr.ATTRIBUTION_CREDENTIAL_NOT_AFTER)
    early = not_before.known & (start_us < not_before.times_us - SKEW_US)
    late = not_after.known & (start_us > not_after.times_us + SKEW_US)
    for name, wrong, word in (
        (attr.ATTRIBUTION_CREDENTIAL_NOT_BEFORE, early, "after"),
        (attr.ATTRIBUTION_CREDENTIAL_NOT_AFTER, late, "before"),
    ):
        rows = np.flatnonzero(used & wrong)
        yield from per_row(
            FindingRule.CREDENTIAL_NOT_VALID,
            name,
            rows,
            lambda at, rows=rows, name=name, word=word: (
                f"the credential was used at {view.start(rows[at])}; "
                f"expected {word} {quoted(view.text(name, rows[at]))}"
            ),
            f"the credential was used outside of its lifetime; expected {word} {name}",
        )


def credential_of_other_task(view: View) -> Iterator[Findings]:
    """The credential was issued for another task than the action's, and not for the one that is split up."""
    name = attr.ATTRIBUTION_CREDENTIAL_TASK_ID
    issued_for = view.values(name)
    if issued_for is None:
        return
    of_task = differ(issued_for, view.texts(attr.ATTRIBUTION_TASK_ID))
    parents = view.texts(attr.ATTRIBUTION_TASK_PARENT_ID)
    of_parent = np.asarray(parents.is_valid()) & ~differ(issued_for, parents)
    rows = np.flatnonzero(_used(view) & of_task & ~of_parent)
    yield from per_row(
        FindingRule.CREDENTIAL_OF_OTHER_TASK,
        name,
        rows,
        lambda at: (
            f"the credential was issued for task {quoted(view.text(name, rows[at]))}; "
            f"expected {quoted(view.text(attr.ATTRIBUTION_TASK_ID, rows[at]))}"
        ),
        "the credential was issued for another task; expected the action's",
    )


def _used(view: View) -> Mask:
    used: Mask = np.logical_or.reduce([view.operation(name) for name in _USING])
    return used
