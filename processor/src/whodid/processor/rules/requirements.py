"""What an operation's span has to say: required, required under a condition, recommended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from whodid.processor.batch import Findings, Mask
from whodid.processor.rules.view import View
from whodid.semconv import attributes as attr
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


_FOR_WHOM = ("attribution.principal.", "attribution.initiator.")
"""What is missing together where nobody said for whom the agent works: one cause, and one finding."""
_FROM_WHOM = attr.ATTRIBUTION_DELEGATION_CHAIN
"""Begins with the principal, and is no finding of its own where nobody is named."""


@dataclass(frozen=True, slots=True)
class _ForWhom:
    """What one operation requires of them."""

    operation: str
    names: tuple[str, ...]

    @property
    def message(self) -> str:
        told = f"{', '.join(self.names[:-1])} and {self.names[-1]}"
        return f"nobody is named: {told} are missing or empty; {self.operation} requires them"

    def nobody(self, view: View) -> Mask:
        """Which spans of the operation say none of them."""
        said = np.logical_or.reduce([view.present(name) for name in self.names])
        return np.greater(view.operation(self.operation), said)


def _for_whom(demands: tuple[_Demand, ...]) -> tuple[_ForWhom, ...]:
    names: dict[str, list[str]] = {}
    for demand in demands:
        if demand.name.startswith(_FOR_WHOM):
            names.setdefault(demand.operation, []).append(demand.name)
    return tuple(_ForWhom(operation, tuple(each)) for operation, each in names.items() if len(each) > 1)


# A conditional requirement without an expression is for people only: nothing here can tell when it holds.
_REQUIRED = _demands(Requirement.REQUIRED)
_REQUIRED_FOR_WHOM = _for_whom(_REQUIRED)
_CONDITIONAL = tuple(demand for demand in _demands(Requirement.CONDITIONAL) if demand.when is not None)
_RECOMMENDED = _demands(Requirement.RECOMMENDED)


def missing_required(view: View) -> Iterator[Findings]:
    """A required attribute of the span's operation is absent; once for all that say for whom it was."""
    told: dict[str, Mask] = {}
    for each in _REQUIRED_FOR_WHOM:
        nobody = each.nobody(view)
        if nobody.any():
            told[each.operation] = nobody
            about = attr.ATTRIBUTION_PRINCIPAL_ID
            yield Findings(FindingRule.MISSING_REQUIRED, about, each.message, np.flatnonzero(nobody))
    yield from _missing(view, FindingRule.MISSING_REQUIRED, _REQUIRED, told)


def missing_conditional(view: View) -> Iterator[Findings]:
    """The condition holds under which the attribute is required."""
    return _missing(view, FindingRule.MISSING_CONDITIONAL, _CONDITIONAL)


def missing_recommended(view: View) -> Iterator[Findings]:
    """A recommended attribute is absent."""
    return _missing(view, FindingRule.MISSING_RECOMMENDED, _RECOMMENDED)


def _missing(
    view: View, rule: FindingRule, demands: tuple[_Demand, ...], told: Mapping[str, Mask] = {}
) -> Iterator[Findings]:
    """`told`: by operation, the spans of which it is said already that nobody is named."""
    present = {name for name in OPERATIONS if view.operation(name).any()}
    for demand in demands:
        if demand.operation not in present:
            continue
        asked = view.operation(demand.operation)
        if demand.when is not None:
            asked = asked & view.where(demand.when)
        absent = np.greater(asked, view.present(demand.name))
        if demand.operation in told and (demand.name.startswith(_FOR_WHOM) or demand.name == _FROM_WHOM):
            absent = np.greater(absent, told[demand.operation])
        if absent.any():
            yield Findings(rule, demand.name, demand.message, np.flatnonzero(absent))
