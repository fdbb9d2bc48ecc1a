"""Whether every reference leads somewhere: to attributes, groups, spans, what is imported, newer names."""

from __future__ import annotations

from collections.abc import Iterator

from whodid.semconv.resolver import Resolved, SignalKind
from whodid.semconv.source import Place, Problem, did_you_mean


def problems(resolved: Resolved) -> Iterator[Problem]:
    """What the resolver could not follow, and what else names nothing."""
    yield from resolved.problems
    yield from _newer_names(resolved)
    yield from _operations(resolved)


def _newer_names(resolved: Resolved) -> Iterator[Problem]:
    for attribute in resolved.attributes.values():
        deprecated = attribute.node.map("deprecated")
        newer = deprecated.text("renamed_to")
        place = attribute.document.place(deprecated, "renamed_to")
        if newer and newer not in resolved.attributes:
            hint = did_you_mean(newer, resolved.attributes)
            yield Problem(place, f"{attribute.name} is renamed to {newer}, which is no attribute", hint)
        elif newer and "deprecated" in resolved.attributes[newer].node:
            hint = "name the attribute that is used today"
            yield Problem(place, f"{attribute.name} is renamed to {newer}, which is deprecated itself", hint)


def _operations(resolved: Resolved) -> Iterator[Problem]:
    seen: dict[str, Place] = {}
    for span in resolved.of_kind(SignalKind.SPAN):
        operation = span.node.hints.text("operation")
        place = span.document.place(span.node.hints, "operation")
        if not operation:
            if span.document.ours and span.base is None:
                hint = "add `annotations: {whodid: {operation: NAME}}`, by which its spans are known"
                yield Problem(span.document.place(span.node), f"{span.name} names no operation", hint)
        elif operation in seen:
            hint = "an operation belongs to one span: give this one a name of its own, and a `match`"
            yield Problem(place, f"the operation {operation} is already that of {seen[operation]}", hint)
        else:
            seen[operation] = place
