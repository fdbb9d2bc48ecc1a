"""What changed between two versions of the conventions, and which changes break a promise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from whodid.semconv.snapshot import Promise, Snapshot


@dataclass(frozen=True, slots=True)
class Change:
    """One difference."""

    kind: str
    """`added`, `changed`, `deprecated`, `renamed` or `removed`."""
    section: str
    """`attributes`, `spans`, `events` or `rules`."""
    name: str
    detail: str = ""
    breaking: bool = False
    """Whether a record or a query of the older version would no longer be understood."""


def between(old: Snapshot, new: Snapshot) -> list[Change]:
    """The changes that lead from `old` to `new`, by section and name."""
    changes = [*_attributes(old.attributes, new.attributes)]
    for section, before, after in (("spans", old.spans, new.spans), ("events", old.events, new.events)):
        changes += _names(section, before, after)
        for name in sorted(before.keys() & after.keys()):
            changes += _levels(section, name, before[name], after[name])
    changes += _names("rules", old.rules, new.rules)
    for rule in sorted(old.rules.keys() & new.rules.keys()):
        if old.rules[rule] != new.rules[rule]:
            detail = f"severity was {old.rules[rule]} and is {new.rules[rule]}"
            changes.append(Change("changed", "rules", rule, detail))
    return changes


def _names(section: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[Change]:
    for name in sorted(old.keys() - new.keys()):
        yield Change("removed", section, name, breaking=True)
    for name in sorted(new.keys() - old.keys()):
        yield Change("added", section, name)


def _attributes(old: Mapping[str, Promise], new: Mapping[str, Promise]) -> Iterator[Change]:
    yield from _names("attributes", old, new)
    for name in sorted(old.keys() & new.keys()):
        before, after = old[name], new[name]
        if before.deprecated and not after.deprecated:
            detail = f"it was {before.deprecated}, and is in use again"
            yield Change("changed", "attributes", name, detail, breaking=True)
        elif after.renamed_to != before.renamed_to and after.renamed_to:
            yield Change("renamed", "attributes", name, f"to {after.renamed_to}")
        elif after.deprecated != before.deprecated:
            yield Change("deprecated", "attributes", name, after.deprecated)
        yield from _shape(name, before, after)


def _shape(name: str, old: Promise, new: Promise) -> Iterator[Change]:
    def changed(detail: str, breaking: bool) -> Change:
        return Change("changed", "attributes", name, detail, breaking)

    if old.type != new.type:
        yield changed(f"type was {old.type} and is {new.type}", True)
    if bool(old.values) != bool(new.values):
        # Values that were free are no longer, or the other way round: readers of either are surprised.
        yield changed("it was an enum" if old.values else "it is an enum now", bool(new.closed or old.closed))
    else:
        for value in [value for value in old.values if value not in new.values]:
            yield changed(f"the value {value} is gone", True)
        for value in [value for value in new.values if value not in old.values]:
            yield changed(f"the value {value} is new", False)
    if old.closed != new.closed:
        yield changed("it is closed now" if new.closed else "it is no longer closed", new.closed)
    if old.format != new.format:
        yield changed(f"format was {old.format or 'free'} and is {new.format or 'free'}", bool(new.format))


def _levels(section: str, name: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for attribute in sorted(old.keys() | new.keys()):
        before, after = old.get(attribute, "not mentioned"), new.get(attribute, "not mentioned")
        if before != after:
            yield Change("changed", section, name, f"{attribute} was {before} and is {after}")
