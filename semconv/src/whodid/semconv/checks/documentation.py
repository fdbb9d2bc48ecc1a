"""Whether what is ours is explained: examples, sources, severities, and what the audit standard asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from whodid.semconv import aims
from whodid.semconv.definitions import Format
from whodid.semconv.formats import matches
from whodid.semconv.model import RULE_ATTRIBUTE
from whodid.semconv.resolver import Defined, Resolved
from whodid.semconv.source import Place, Problem

_STANDARDS = re.compile(r"RFC \d+|SPIFFE|W3C [A-Z]\w+|AuthZEN|AIMS|OCSF|OPA\b|SVID|SHA-256")
"""The standards that a brief or a note may appeal to."""

_EXPECTED: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "int": (int,),
    "double": (int, float),
    "boolean": (bool,),
    "string[]": (list,),
}


def problems(resolved: Resolved) -> Iterator[Problem]:
    """What is not explained, or wrongly. Upstream's attributes are explained upstream."""
    for attribute in resolved.attributes.values():
        if attribute.document.ours:
            yield from _examples(attribute)
            yield from _sources(attribute)
    yield from _rules(resolved)
    yield from _aims(resolved)


def _examples(attribute: Defined) -> Iterator[Problem]:
    node, declared = attribute.node, attribute.node["type"]
    if isinstance(declared, dict):
        return
    if "examples" not in node:
        cause = f"{attribute.name} has no examples"
        yield Problem(attribute.place(), cause, f"add `examples: [{_EXAMPLE.get(declared, '…')}]`")
        return
    format_ = Format(node.hints["format"]) if "format" in node.hints else None
    examples = node["examples"]
    for example, line in zip(examples, examples.lines, strict=True):
        place = Place(attribute.document.path, line)
        if not _has_type(example, declared):
            cause = f"{attribute.name}: the example {example!r} is no {declared}"
            yield Problem(place, cause, f"write it like {_EXAMPLE.get(declared, 'its type')}")
        elif format_ is not None and not matches(format_, example):
            cause = f"{attribute.name}: the example {example!r} has not the format {format_}"
            yield Problem(place, cause, f"write it like {_FORMATTED[format_]}")


_EXAMPLE = {"string": '"text"', "int": "1", "double": "1.5", "boolean": "true", "string[]": '["a", "b"]'}
_FORMATTED = {
    Format.SPIFFE_ID: "spiffe://acme.example/agent/support",
    Format.DIGEST: "sha256: and 64 hexadecimal digits",
    Format.RFC3339: "2026-11-24T14:00:00Z",
    Format.TRACE_ID: "4bf92f3577b34da6a3ce929d0e0e4736",
    Format.SPAN_ID: "00f067aa0ba902b7",
}


def _has_type(example: Any, declared: str) -> bool:
    if declared not in _EXPECTED:
        return True
    if isinstance(example, bool) != (declared == "boolean"):
        return False  # Python takes True for an int
    return isinstance(example, _EXPECTED[declared])


def _sources(attribute: Defined) -> Iterator[Problem]:
    node = attribute.node
    source = node.hints.text("source")
    if "format" in node.hints and not source:
        cause = f"{attribute.name} has a format and does not say which standard it follows"
        yield Problem(attribute.place(), cause, _SOURCE)
        return
    for key in ("brief", "note"):
        for standard in _STANDARDS.findall(node.text(key)):
            if standard not in source:
                cause = f"{attribute.name}: the {key} appeals to {standard} and the source does not name it"
                yield Problem(attribute.document.place(node, key), cause, _SOURCE)


_SOURCE = "add `source: …` to `annotations: {whodid: {…}}`"


def _rules(resolved: Resolved) -> Iterator[Problem]:
    attribute = resolved.attributes.get(RULE_ATTRIBUTE)
    if attribute is None:
        return
    for member in attribute.node.map("type").maps("members"):
        for key, hint in (
            ("severity", "violation, improvement or information"),
            ("controls", "a list of ids"),
        ):
            if key not in member.hints:
                place = attribute.document.place(member, "id")
                yield Problem(place, f"the rule {member.text('id')} has no {key}", f"add `{key}: …`: {hint}")


def _aims(resolved: Resolved) -> Iterator[Problem]:
    mapped = {attribute.node.hints.text("aims") for attribute in resolved.attributes.values()}
    place = next((a.place() for a in resolved.attributes.values() if a.document.ours), None)
    for field in aims.FIELDS:
        if place is not None and field.id not in mapped:
            hint = f"annotate one with `aims: {field.id}`"
            yield Problem(
                Place(place.path), f"no attribute answers to AIMS' minimum field {field.title!r}", hint
            )
