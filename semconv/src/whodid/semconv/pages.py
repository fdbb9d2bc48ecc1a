"""Renders the model as Markdown: a page a group of attributes, spans, events, and the tables made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from whodid.semconv import aims
from whodid.semconv.definitions import Attribute, Column
from whodid.semconv.markdown import anchor, code, page, table
from whodid.semconv.model import RULE_ATTRIBUTE, Group, Model
from whodid.semconv.resolver import Reference, Signal, SignalKind
from whodid.semconv.source import Map

FOLDER = Path("docs")

_STORED: dict[Column | None, str] = {
    Column.STRING: "text",
    Column.LOW_CARDINALITY: "text with few different values",
    Column.ARRAY: "list of texts",
    Column.INT: "whole number, or none",
}


def render(model: Model) -> dict[Path, str]:
    """The pages: path below `semconv/` to text."""
    pages = {f"{group.name}.md": _group(model, group) for group in model.groups}
    pages |= {
        "spans.md": _signals(model, SignalKind.SPAN, "Spans", _SPANS),
        "events.md": _signals(model, SignalKind.EVENT, "Events", "Events on a span, by their name."),
        "aims.md": _aims(model),
        "columns.md": _columns(model),
    }
    return {FOLDER / name: text for name, text in pages.items()} | {FOLDER / "README.md": _index(model)}


_SPANS = (
    "What each kind of span has to say. A span is known by the condition under its heading, never by its "
    "name or type. A conditional requirement has its condition twice: in words, and as the expression that "
    "the validator evaluates."
)


def _index(model: Model) -> str:
    rows = [
        (_link(model, name), attribute.type, attribute.brief)
        for name, attribute in model.attributes.items()
        if model.resolved.attributes[name].document.ours
    ]
    pages = [
        *((f"[{group.name}]({group.name}.md)", _what(model, group)) for group in model.groups),
        ("[spans](spans.md)", "what each operation's spans have to say"),
        ("[events](events.md)", "what the events on spans have to say"),
        ("[aims](aims.md)", "the minimum fields of an agent's audit record in IETF AIMS, and where they are"),
        ("[columns](columns.md)", "the columns of the store's table of spans"),
        ("[normalisation](normalisation.md)", "what other instrumentations' attributes become"),
        ("[action-record.schema.json](action-record.schema.json)", "JSON Schema of an action's record"),
        (f"[schemas/{model.version}.yaml](../schemas/{model.version}.yaml)", "OpenTelemetry schema file"),
    ]
    return page(
        "The attribution conventions",
        f"Version {model.version}, schema URL `{model.schema_url}`.",
        table(("page", "what is on it"), pages),
        "## Every attribute of ours",
        table(("attribute", "type", "meaning"), rows),
    )


def _what(model: Model, group: Group) -> str:
    defined = model.resolved.attributes[group.attributes[0].name]
    if not defined.document.ours:
        return "OpenTelemetry's attributes that these conventions name"
    prefixes = dict.fromkeys(".".join(each.name.split(".")[:2]) for each in group.attributes)
    return ", ".join(code(f"{prefix}.*") for prefix in prefixes)


def _link(model: Model, name: str) -> str:
    page_name = f"{model.resolved.attributes[name].document.group}.md"
    return f"[`{name}`]({page_name}#{anchor(name)})"


def _group(model: Model, group: Group) -> str:
    rows = [(f"[`{each.name}`](#{anchor(each.name)})", each.type, each.brief) for each in group.attributes]
    parts = [table(("attribute", "type", "meaning"), rows)]
    for attribute in group.attributes:
        parts += _attribute(model, attribute)
    return page(f"Attributes: {group.name}", *parts)


def _attribute(model: Model, attribute: Attribute) -> list[str]:
    node = model.resolved.attributes[attribute.name].node
    parts = [f"## `{attribute.name}`", attribute.brief, " ".join(node.text("note").split())]
    facts = [("type", _type(attribute)), ("stability", node.text("stability"))]
    facts += [("format", code(attribute.format or "")), ("examples", ", ".join(_examples(node)))]
    facts += [
        ("follows", node.hints.text("source")),
        ("deprecated", _deprecated(model, node.map("deprecated"))),
    ]
    facts += [("column", code(attribute.column_name if attribute.column else ""))]
    facts += [("used by", ", ".join(_users(model, attribute.name)))]
    parts.append("\n".join(f"- {name}: {fact}" for name, fact in facts if fact))
    members = node.map("type").maps("members")
    if attribute.name == RULE_ATTRIBUTE:
        parts.append(_rules(model))
    elif members:
        parts.append(table(("value", "meaning"), ((code(m.text("value")), m.text("brief")) for m in members)))
    return parts


def _type(attribute: Attribute) -> str:
    if not attribute.values:
        return attribute.type
    return f"{attribute.type}, one of the values below" + ("" if attribute.closed else ", or another")


def _examples(node: Map) -> list[str]:
    found: Any = node.get("examples", ())
    return [code(each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)) for each in found]


def _deprecated(model: Model, node: Map) -> str:
    newer = node.text("renamed_to")
    return f"renamed to {_link(model, newer)}" if newer else node.text("note")


def _users(model: Model, name: str) -> list[str]:
    return [
        f"[`{signal.name}`]({signal.kind}s.md#{anchor(_title(signal))})"
        for signal in model.resolved.signals
        if any(reference.name == name for reference in signal.references)
    ]


def _rules(model: Model) -> str:
    """The validator's rules: with what severity they find what, and which controls it bears on."""
    rows = [(code(r.id), r.severity, r.brief, ", ".join(r.controls)) for r in model.rules]
    return table(("rule", "severity", "what it finds", "controls"), rows)


def _title(signal: Signal) -> str:
    return signal.node.hints.text("operation") or signal.name


def _signals(model: Model, kind: SignalKind, title: str, lead: str) -> str:
    parts = [lead]
    for signal in model.resolved.of_kind(kind):
        parts += [f"## `{_title(signal)}`", signal.text("brief"), " ".join(signal.text("note").split())]
        parts.append("\n".join(f"- {name}: {fact}" for name, fact in _facts(model, signal) if fact))
        rows = [_reference(model, reference) for reference in signal.references]
        parts.append(table(("attribute", "requirement", "note"), rows) if rows else "")
    return page(title, *parts)


def _facts(model: Model, signal: Signal) -> list[tuple[str, str]]:
    operations = {operation.name: operation for operation in model.operations}
    operation = operations.get(signal.node.hints.text("operation"))
    return [
        ("known by", code(operation.match) if operation else ""),
        ("span type", code(signal.name) if signal.kind is SignalKind.SPAN else ""),
        ("span name", signal.map("name").text("note") if signal.kind is SignalKind.SPAN else ""),
        ("span kind", signal.text("kind")),
        ("refines", code(signal.node.text("ref"))),
        ("stability", signal.text("stability")),
    ]


def _reference(model: Model, reference: Reference) -> tuple[str, str, str]:
    level = reference.requirement.replace("_", " ")
    if reference.when is not None:
        level = f"{level}: {reference.condition} {code(reference.when)}"
    return _link(model, reference.name), level, reference.note


def _aims(model: Model) -> str:
    rows: list[tuple[str, str]] = []
    for field in aims.FIELDS:
        names = [
            _link(model, name)
            for name, defined in model.resolved.attributes.items()
            if defined.node.hints.text("aims") == field.id
        ]
        rows.append((field.title, "; ".join(filter(None, (", ".join(names), field.span)))))
    return page(
        "IETF AIMS",
        "draft-ietf-wimse-aims asks for seven fields at least in an agent's audit record. They are here:",
        table(("minimum field", "attributes; what the span has besides"), rows),
    )


def _columns(model: Model) -> str:
    rows = [
        (code(each.column_name), _link(model, each.name), _STORED[each.column])
        for each in model.attributes.values()
        if each.column is not None
    ]
    return page(
        "Columns",
        "An attribute that questions and rules look at often has a column of its own in the store's table "
        "`spans`, beside those for what OTLP itself defines. The others are in the maps `attributes` (texts) "
        "and `attributes_other` (everything else, as JSON).",
        table(("column", "attribute", "holds"), rows),
    )
