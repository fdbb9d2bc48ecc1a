"""OpenTelemetry's rules for names, of attributes, signals and enum members.

Source: OpenTelemetry semantic conventions, "Naming", and the policies that its registry is checked with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from whodid.semconv.resolver import Defined, Resolved
from whodid.semconv.source import Problem

NAME = re.compile(r"[a-z][a-z0-9]*([._][a-z0-9]+)*")
MEMBER = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

_COLLECTIVE = ("chain", "history", "list", "path", "sequence", "set", "stack")
"""Words whose singular says that they hold many."""


def problems(resolved: Resolved) -> Iterator[Problem]:
    """What is not named as OpenTelemetry wants it. Upstream's are its own concern, but for collisions."""
    ours = [attribute for attribute in resolved.attributes.values() if attribute.document.ours]
    for attribute in ours:
        yield from _of_attribute(attribute)
        yield from _of_members(attribute)
    yield from _collisions(resolved, ours)
    for signal in resolved.signals:
        if signal.document.ours and not _is_name(signal.name):
            key = "id" if signal.base is not None else {"span": "type", "event": "name"}[signal.kind]
            place = signal.document.place(signal.node, key)
            yield Problem(place, f"{signal.name} is no name for {_a(signal.kind)}", _RULE)


_RULE = "lower-case words, joined by `.` and `_`, with a namespace in front: attribution.NAME"


def _a(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def _is_name(name: str) -> bool:
    return NAME.fullmatch(name) is not None and "." in name


def _of_attribute(attribute: Defined) -> Iterator[Problem]:
    name = attribute.name
    if not _is_name(name):
        yield Problem(attribute.place(), f"{name} is no name for an attribute", _RULE)
        return
    last = name.rpartition(".")[2]
    word = last.rpartition("_")[2]
    plural = word.endswith("s") and not word.endswith("ss")
    if str(attribute.node["type"]).endswith("[]") and not plural and word not in _COLLECTIVE:
        ending = "es" if word.endswith("s") else "s"
        hint = f"{name}{ending}, or a word that means many ({', '.join(_COLLECTIVE)})"
        yield Problem(attribute.place(), f"{name} is an array and its name is singular", hint)


def _of_members(attribute: Defined) -> Iterator[Problem]:
    seen: set[str] = set()
    for member in attribute.node.map("type").maps("members"):
        for key in ("id", "value"):
            text, place = member.text(key), attribute.document.place(member, key)
            if MEMBER.fullmatch(text) is None:
                hint = "lower-case words, joined by `_`"
                yield Problem(place, f"{attribute.name}: {text!r} is no name for a member", hint)
            if f"{key} {text}" in seen:
                hint = "take one of them out"
                yield Problem(place, f"{attribute.name}: there are two members with the {key} {text}", hint)
            seen.add(f"{key} {text}")


def _collisions(resolved: Resolved, ours: list[Defined]) -> Iterator[Problem]:
    namespaces: dict[str, str] = {}
    flat: dict[str, list[str]] = {}
    for name in resolved.attributes:
        parts = name.split(".")
        for length in range(1, len(parts)):
            namespaces.setdefault(".".join(parts[:length]), name)
        flat.setdefault(name.replace(".", "_"), []).append(name)
    for attribute in ours:
        name = attribute.name
        if name in namespaces:
            hint = f"{name}.id, {name}.name or the like"
            yield Problem(attribute.place(), f"{name} is also the namespace of {namespaces[name]}", hint)
        for other in flat[name.replace(".", "_")]:
            if other != name:
                cause = f"{name} and {other} are the same after `.` becomes `_`, as in columns and constants"
                yield Problem(attribute.place(), cause, "give one of them another word")
