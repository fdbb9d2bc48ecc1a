"""What an operation's span has to say: required, required under a condition, recommended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from whodid.processor.batch import Findings
from whodid.processor.rules.view import View
from whodid.semconv import expressions
from whodid.semconv.definitions import Operation, Requirement
from whodid.semconv.expressions import Expression
from whodid.semconv.registry import OPERATIONS
from whodid.semconv.values import FindingRule


@dataclass(frozen=True, slots=True)
class _Demand:
    """One attribute that one operation asks for."""

    operation: str
    name: str
    when: Expression | None
    message: str


def _demands(requirement: Requirement) -> tuple[_Demand, ...]:
    return tuple(
        _Demand(operation.name, use.name, expressions.parse(use.when) if use.when else None, message)
        for operation in OPERATIONS.values()
        for use in operation.uses
        if use.requirement is requirement
        for message in (_message(operation, use.name, requirement, use.when),)
    )


def _message(operation: Operation, name: str, requirement: Requirement, when: str | None) -> str:
    word = "recommends" if requirement is Requirement.RECOMMENDED else "requires"
    condition = f" where {when}" if when else ""
    return f"{name} is missing or empty; {operation.name} {word} it{condition}"


# A conditional requirement without an expression is for people only: nothing here can tell when it holds.
_REQUIRED = _demands(Requirement.REQUIRED)
_CONDITIONAL = tuple(demand for demand in _demands(Requirement.CONDITIONAL) if demand.when is not None)
_RECOMMENDED = _demands(Requirement.RECOMMENDED)


def missing_required(view: View) -> Iterator[Findings]:
    """A required attribute of the span's operation is absent."""
    return _missing(view, FindingRule.MISSING_REQUIRED, _REQUIRED)


def missing_conditional(view: View) -> Iterator[Findings]:
    """The condition holds under which the attribute is required."""
    return _missing(view, FindingRule.MISSING_CONDITIONAL, _CONDITIONAL)


def missing_recommended(view: View) -> Iterator[Findings]:
    """A recommended attribute is absent."""
    return _missing(view, FindingRule.MISSING_RECOMMENDED, _RECOMMENDED)


def _missing(view: View, rule: FindingRule, demands: tuple[_Demand, ...]) -> Iterator[Findings]:
    present = {name for name in OPERATIONS if view.operation(name).any()}
    for demand in demands:
        if demand.operation not in present:
            continue
        asked = view.operation(demand.operation)
        if demand.when is not None:
            asked = asked & view.where(demand.when)
        absent = np.greater(asked, view.present(demand.name))
        if absent.any():
            yield Findings(rule, demand.name, demand.message, np.flatnonzero(absent))
