"""A way to break a valid record, with the rules that have to find it, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.processor.rules.records import SECOND_NS, Records, begin
from tests.spans import Value
from whodid.semconv.values import FindingRule as Id


@dataclass(frozen=True)
class Mutant:
    """One change to the valid record, and what it has to be found by."""

    name: str
    record: str
    """The span that the findings are about."""
    attribute: str
    rules: frozenset[Id]
    change: Callable[[Records], None]
    why: str = ""
    """Why one change breaks more than one rule."""


def mutant(
    name: str,
    record: str,
    attribute: str,
    rules: Id | tuple[Id, ...],
    change: Callable[[Records], None],
    why: str = "",
) -> Mutant:
    found_by = frozenset(rules) if isinstance(rules, tuple) else frozenset((rules,))
    assert (len(found_by) > 1) == bool(why), name
    return Mutant(name, record, attribute, found_by, change, why)


def setting(record: str, attribute: str, value: Value) -> Callable[[Records], None]:
    """A change that puts a value in the place of a span's, or takes it away where it is None."""

    def change(records: Records) -> None:
        said = records[record].attributes
        said.pop(attribute, None)
        if value is not None:
            said[attribute] = value

    return change


def saying(record: str, **said: Value) -> Callable[[Records], None]:
    return lambda records: records.say(record, **said)


def together(*changes: Callable[[Records], None]) -> Callable[[Records], None]:
    def change(records: Records) -> None:
        for each in changes:
            each(records)

    return change


def starting(record: str, seconds: float, *, after: str) -> Callable[[Records], None]:
    """A span's start moved to so long after another's end, or before it if that is negative."""

    def change(records: Records) -> None:
        begin(records, record, round(seconds * SECOND_NS), after=after)

    return change
