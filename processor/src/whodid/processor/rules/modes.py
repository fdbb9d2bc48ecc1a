"""Whether the mode of an action fits its approval, its initiator and its chain."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from whodid.processor.arrow import pc
from whodid.processor.batch import Findings
from whodid.processor.rules.view import View, uses
from whodid.semconv import attributes as attr
from whodid.semconv import expressions
from whodid.semconv.values import FindingRule

_MODE = attr.ATTRIBUTION_ACTION_MODE
_WITH_MODE = uses(_MODE)

_CONTRADICTIONS = (
    (
        expressions.parse(
            f"present({attr.ATTRIBUTION_APPROVAL_ID}) and present({_MODE})"
            f' and not {_MODE} == "human_approved"'
        ),
        f"the action names an approval and {_MODE} says otherwise; expected human_approved",
    ),
    (
        # On the execution itself this is a missing attribute, which the operation's own condition finds.
        expressions.parse(
            f'{_MODE} == "human_approved" and not present({attr.ATTRIBUTION_APPROVAL_ID})'
            f' and {attr.GEN_AI_OPERATION_NAME} == "evaluate_policy"'
        ),
        f"{_MODE} is human_approved and no approval is named; expected {attr.ATTRIBUTION_APPROVAL_ID}",
    ),
    (
        expressions.parse(
            f'{_MODE} == "human_initiated" and present({attr.ATTRIBUTION_INITIATOR_TYPE})'
            f' and not {attr.ATTRIBUTION_INITIATOR_TYPE} == "human"'
        ),
        f"{_MODE} is human_initiated and {attr.ATTRIBUTION_INITIATOR_TYPE} is another; expected human",
    ),
)

_BY_HUMAN = expressions.parse(f'{_MODE} == "human_initiated"')


def mode_inconsistent(view: View) -> Iterator[Findings]:
    """What the span says beside the mode contradicts it."""
    asked = np.logical_or.reduce([view.operation(name) for name in _WITH_MODE])
    if not asked.any():
        return
    for condition, message in _CONTRADICTIONS:
        rows = np.flatnonzero(asked & view.where(condition))
        yield Findings(FindingRule.MODE_INCONSISTENT, _MODE, message, rows)
    chains = view.lists(attr.ATTRIBUTION_DELEGATION_CHAIN)
    by_human = asked & view.where(_BY_HUMAN)
    if chains is not None and by_human.any():
        through_agents = np.asarray(pc.fill_null(pc.greater(pc.list_value_length(chains), 1), False))
        message = (
            f"{_MODE} is human_initiated and the chain has an agent; expected a mode of an agent's action"
        )
        rows = np.flatnonzero(by_human & through_agents)
        yield Findings(FindingRule.MODE_INCONSISTENT, _MODE, message, rows)
