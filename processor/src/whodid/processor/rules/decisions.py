"""Whether the decision that an action names came first, is about this action, and let it go ahead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from whodid.processor.batch import Findings, Mask, Rows
from whodid.processor.rules.clocks import before
from whodid.processor.rules.telling import per_row, pick, quoted
from whodid.processor.rules.view import View, differ, first_rows
from whodid.semconv import attributes as attr
from whodid.semconv import expressions
from whodid.semconv.values import FindingRule, PolicyEnforcementAction

_BLOCKED = expressions.parse(f'{attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION} == "blocked"')

_CONTRADICTORY = expressions.parse(
    f'{attr.ATTRIBUTION_POLICY_DECISION_OUTCOME} in ("deny", "error")'
    f' and {attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION} == "allowed"'
    f' or {attr.ATTRIBUTION_POLICY_DECISION_OUTCOME} == "allow"'
    f' and {attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION} == "monitored"'
)
"""To let a denied action go ahead is `monitored`, and what is `monitored` was denied."""

_AGREED = (
    attr.ATTRIBUTION_ACTION_ID,
    attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH,
    attr.GEN_AI_TOOL_NAME,
    attr.ATTRIBUTION_POLICY_DECISION_OUTCOME,
    attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION,
)
"""What an action and its decision cannot say differently."""


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Actions that ran, each with the decision about it. Both are rows, and as many."""

    actions: Rows
    decisions: Rows


def action_against_decision(view: View) -> Iterator[Findings]:
    """What is wrong between actions that ran and the decisions about them, where both are in the batch."""
    pairs = _pairs(view)
    yield from _after(view, pairs)
    yield from _mismatches(view, pairs)
    yield from _despite_denial(view, pairs)


def _pairs(view: View) -> _Pairs:
    """An action goes with the decision that it names; one that names none, with one about the same action."""
    actions = np.flatnonzero(view.operation("execute_tool"))
    decided = np.flatnonzero(view.operation("evaluate_policy"))
    if not len(actions) or not len(decided):
        return _Pairs(actions[:0], decided[:0])
    ids = view.texts(attr.ATTRIBUTION_POLICY_DECISION_ID)
    named = pick(ids, actions)
    found = first_rows(ids, decided, named)
    names_none = np.asarray(named.is_null())
    if names_none.any():
        # Of several, one that did not block it and came early: that is the one it may have run by.
        order = np.lexsort((view.times_ns("end_time")[decided], view.where(_BLOCKED)[decided]))
        action_ids = view.texts(attr.ATTRIBUTION_ACTION_ID)
        about = first_rows(action_ids, decided[order], pick(action_ids, actions))
        found = np.where(names_none, about, found)
    return _Pairs(actions[found >= 0], found[found >= 0])


def _after(view: View, pairs: _Pairs) -> Iterator[Findings]:
    began_ns = view.times_ns("start_time")[pairs.actions]
    decided_ns = view.times_ns("end_time")[pairs.decisions]
    late = before(view, began_ns, decided_ns, pairs.actions, pairs.decisions)
    rows, decided = pairs.actions[late], pairs.decisions[late]
    yield from per_row(
        FindingRule.DECISION_AFTER_ACTION,
        attr.ATTRIBUTION_POLICY_DECISION_ID,
        rows,
        lambda at: (
            f"the action began at {view.start(rows[at])}; "
            f"expected after its decision's end at {view.end(decided[at])}"
        ),
        "the action began before its decision's end; expected after it",
    )


def _mismatches(view: View, pairs: _Pairs) -> Iterator[Findings]:
    for name in _AGREED:
        values = view.agreed(name)
        if values is None:
            continue
        wrong = differ(pick(values, pairs.actions), pick(values, pairs.decisions))
        rows, decided = pairs.actions[wrong], pairs.decisions[wrong]
        yield from per_row(
            FindingRule.DECISION_MISMATCH,
            name,
            rows,
            lambda at, name=name, rows=rows, decided=decided: (
                f"{name} is {quoted(view.text(name, rows[at]))}; "
                f"expected {quoted(view.text(name, decided[at]))}, which the decision says"
            ),
            f"{name} is not what the decision says; expected the same",
        )
    enforcement, outcome = (
        attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION,
        attr.ATTRIBUTION_POLICY_DECISION_OUTCOME,
    )
    rows = np.flatnonzero(view.where(_CONTRADICTORY))
    yield from per_row(
        FindingRule.DECISION_MISMATCH,
        enforcement,
        rows,
        lambda at: (
            f"{enforcement} is {view.text(enforcement, rows[at])} after {view.text(outcome, rows[at])}; "
            f"expected allowed after allow, blocked or monitored after deny or error"
        ),
        f"{enforcement} does not go with {outcome}",
    )


def _despite_denial(view: View, pairs: _Pairs) -> Iterator[Findings]:
    blocked: Mask = view.where(_BLOCKED)
    ran = view.operation("execute_tool") & blocked
    ran[pairs.actions[blocked[pairs.decisions]]] = True
    message = (
        f"the action ran although its decision was enforced as {PolicyEnforcementAction.BLOCKED.value}; "
        f"expected no execution"
    )
    name = attr.ATTRIBUTION_POLICY_ENFORCEMENT_ACTION
    yield Findings(FindingRule.ACTION_DESPITE_DENIAL, name, message, np.flatnonzero(ran))
