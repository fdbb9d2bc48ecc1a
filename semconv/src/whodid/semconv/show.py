"""`whodid semconv show`: one attribute, operation, event or rule, as fields and as text for people."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from whodid.semconv.definitions import Attribute, Rule
from whodid.semconv.model import Model
from whodid.semconv.resolver import Signal
from whodid.semconv.source import did_you_mean

Fields = dict[str, Any]
"""What is known about one thing: JSON values under the names that people see too."""


class UnknownNameError(Exception):
    """Nothing in the model has this name; `hint` has the names that are near."""

    def __init__(self, name: str, known: Collection[str]) -> None:
        super().__init__(f"nothing in the conventions is named {name!r}")
        longer = [each for each in known if each.endswith(f".{name}")]
        nearest = f"did you mean {' or '.join(longer)}?" if longer else did_you_mean(name, known)
        self.hint = nearest or "`semconv/docs/README.md` lists every attribute"


def find(model: Model, name: str) -> Fields:
    """What the model says about `name`. Raises UnknownNameError."""
    found: dict[str, Fields] = {rule.id: _rule(rule) for rule in model.rules}
    for signal in model.resolved.signals:
        found[signal.name] = _signal(model, signal)
        operation = signal.node.hints.text("operation")
        found |= {operation: found[signal.name]} if operation else {}
    found |= {each.name: _attribute(model, each) for each in model.attributes.values()}
    if name not in found:
        raise UnknownNameError(name, found)
    return found[name]


def _attribute(model: Model, attribute: Attribute) -> Fields:
    node = model.resolved.attributes[attribute.name].node
    fields: Fields = {
        "attribute": attribute.name,
        "meaning": attribute.brief,
        "note": " ".join(node.text("note").split()),
        "type": str(attribute.type),
        "format": str(attribute.format or ""),
        "values": {m.text("value"): m.text("brief") for m in node.map("type").maps("members")},
        "closed": attribute.closed,
        "examples": list(node.get("examples", ())),
        "follows": node.hints.text("source"),
        "stability": node.text("stability"),
        "renamed to": attribute.renamed_to or "",
        "column": attribute.column_name if attribute.column else "",
        "used by": {
            signal.name: reference.requirement
            for signal in model.resolved.signals
            for reference in signal.references
            if reference.name == attribute.name
        },
    }
    return {key: value for key, value in fields.items() if value}


def _signal(model: Model, signal: Signal) -> Fields:
    operation = signal.node.hints.text("operation")
    fields: Fields = {
        signal.kind.value: signal.name,
        "operation": operation,
        "known by": next((each.match for each in model.operations if each.name == operation), ""),
        "meaning": signal.text("brief"),
        "note": " ".join(signal.text("note").split()),
        "kind": signal.text("kind"),
        "attributes": {
            each.name: " ".join(filter(None, (each.requirement, each.when and f"when {each.when}")))
            for each in signal.references
        },
    }
    return {key: value for key, value in fields.items() if value}


def _rule(rule: Rule) -> Fields:
    return {
        "rule": rule.id,
        "severity": rule.severity,
        "meaning": rule.brief,
        "controls": list(rule.controls),
    }


def text(fields: Fields) -> str:
    """Fields as lines for a terminal."""
    lines: list[str] = []
    for key, value in fields.items():
        if isinstance(value, dict):
            lines.append(f"{key}:")
            lines += [f"  {name}: {detail}" for name, detail in value.items()]  # pyright: ignore[reportUnknownVariableType]
        elif isinstance(value, list):
            lines.append(f"{key}: {', '.join(str(each) for each in value)}")  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
        else:
            lines.append(f"{key}: {'yes' if value is True else value}")
    return "\n".join(lines)
