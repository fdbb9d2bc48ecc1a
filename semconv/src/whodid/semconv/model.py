"""Reads the model (`semconv/model`, OTel Weaver's `definition/2`) into the registry's definitions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from whodid.semconv import expressions
from whodid.semconv.definitions import (
    Attribute,
    AttributeType,
    Column,
    Format,
    Operation,
    Requirement,
    Rule,
    Use,
)

Node = dict[str, Any]

RULE_ATTRIBUTE = "attribution.finding.rule"
"""The enum whose members are the validator's rules."""


class ModelError(Exception):
    """The model cannot be read; the message names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Group:
    """The attributes of one file of the model, for the documentation."""

    name: str
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """The conventions, resolved."""

    schema_url: str
    groups: tuple[Group, ...]
    operations: tuple[Operation, ...]
    rules: tuple[Rule, ...]
    enum_briefs: dict[str, dict[str, str]]
    """Attribute name to value to brief."""
    notes: dict[str, str]
    sources: dict[str, str]

    @property
    def attributes(self) -> dict[str, Attribute]:
        return {attribute.name: attribute for group in self.groups for attribute in group.attributes}


def load(folder: Path) -> Model:
    """Reads the model in `folder` and the upstream attributes that its manifest names.

    Raises ModelError when a file is not `definition/2`, an attribute is defined twice, or a reference
    names nothing.
    """
    manifest = _read(folder / "manifest.yaml")
    sources = [folder / cast("str", dependency["registry_path"]) for dependency in manifest["dependencies"]]
    files = [path for path in sorted(folder.glob("*.yaml")) if path.name != "manifest.yaml"]
    files += [path for source in sources for path in sorted(source.glob("*.yaml"))]
    documents = {path: _read(path) for path in files}
    for path, document in documents.items():
        if document.get("file_format") != "definition/2":
            raise ModelError(f"{path}: file_format is not definition/2")
    groups = _groups(documents, folder)
    nodes = [node for document in documents.values() for node in _nodes(document, "attributes")]
    return Model(
        schema_url=cast("str", manifest["schema_url"]),
        groups=groups,
        operations=_operations(documents, {each.name for group in groups for each in group.attributes}),
        rules=tuple(rule for node in nodes if node["key"] == RULE_ATTRIBUTE for rule in _rules(node)),
        enum_briefs={node["key"]: _enum_briefs(node) for node in nodes if isinstance(node["type"], dict)},
        notes={node["key"]: cast("str", node["note"]).strip() for node in nodes if "note" in node},
        sources={node["key"]: _hints(node)["source"] for node in nodes if "source" in _hints(node)},
    )


def _read(path: Path) -> Node:
    import yaml  # only who compiles the model needs it

    try:
        return cast("Node", yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise ModelError(f"{path}: {error}") from error


def _nodes(document: Node, section: str) -> list[Node]:
    return cast("list[Node]", document.get(section, []))


def _groups(documents: dict[Path, Node], folder: Path) -> tuple[Group, ...]:
    seen: dict[str, Path] = {}
    groups: list[Group] = []
    for path, document in documents.items():
        attributes: list[Attribute] = []
        for node in _nodes(document, "attributes"):
            attribute = _attribute(path, node)
            if attribute.name in seen:
                raise ModelError(f"{path}: {attribute.name} is already defined in {seen[attribute.name]}")
            seen[attribute.name] = path
            attributes.append(attribute)
        if attributes:
            name = path.stem if path.parent == folder else "upstream"
            groups.append(Group(name, tuple(attributes)))
    return tuple(groups)


def _attribute(path: Path, node: Node) -> Attribute:
    name = cast("str", node["key"])
    hints = _hints(node)
    declared: Any = node["type"]
    values: tuple[str, ...] = ()
    if isinstance(declared, dict):
        members = cast("list[Node]", cast("Node", declared)["members"])
        values = tuple(cast("str", member["value"]) for member in members)
        declared = "string"
    try:
        return Attribute(
            name=name,
            type=AttributeType(declared),
            brief=cast("str", node["brief"]).strip(),
            column=Column(hints["column"]) if "column" in hints else None,
            values=values,
            closed=bool(hints.get("closed", False)),
            format=Format(hints["format"]) if "format" in hints else None,
            renamed_to=cast("Node", node.get("deprecated", {})).get("renamed_to"),
        )
    except ValueError as error:
        raise ModelError(f"{path}: {name}: {error}") from error


def _hints(node: Node) -> Node:
    """Our annotations, which Weaver passes by."""
    return cast("Node", cast("Node", node.get("annotations", {})).get("whodid", {}))


def _members(node: Node) -> list[Node]:
    return cast("list[Node]", cast("Node", node["type"])["members"])


def _enum_briefs(node: Node) -> dict[str, str]:
    return {member["value"]: member["brief"] for member in _members(node)}


def _rules(node: Node) -> list[Rule]:
    return [
        Rule(
            id=member["value"],
            brief=cast("str", member["brief"]).strip(),
            severity=_hints(member)["severity"],
            controls=tuple(_hints(member)["controls"]),
        )
        for member in _members(node)
    ]


def _operations(documents: dict[Path, Node], known: set[str]) -> tuple[Operation, ...]:
    groups: dict[str, list[Node]] = {
        group["id"]: group["attributes"]
        for document in documents.values()
        for group in _nodes(document, "attribute_groups")
    }
    operations: list[Operation] = []
    for path, document in documents.items():
        for span in _nodes(document, "spans"):
            name = cast("str", _hints(span)["operation"])
            match = _condition(path, _hints(span).get("match", f'gen_ai.operation.name == "{name}"'), known)
            uses = tuple(_uses(path, span["attributes"], groups, known))
            operations.append(Operation(name, cast("str", span["brief"]).strip(), match, uses))
    return tuple(operations)


def _uses(path: Path, nodes: list[Node], groups: dict[str, list[Node]], known: set[str]) -> list[Use]:
    resolved: list[Use] = []
    for node in nodes:
        if "ref_group" in node:
            if node["ref_group"] not in groups:
                raise ModelError(f"{path}: no attribute group {node['ref_group']}")
            resolved += _uses(path, groups[node["ref_group"]], groups, known)
        else:
            resolved.append(_use(path, node, known))
    return resolved


def _use(path: Path, node: Node, known: set[str]) -> Use:
    name = cast("str", node["ref"])
    if name not in known:
        raise ModelError(f"{path}: no attribute {name}")
    level: Any = node.get("requirement_level", "recommended")
    requirement = Requirement(next(iter(cast("Node", level))) if isinstance(level, dict) else level)
    when = _hints(node).get("when")
    if (requirement is Requirement.CONDITIONAL) != (when is not None):
        raise ModelError(
            f"{path}: {name}: a conditional requirement is written twice, "
            "for people (conditionally_required) and for the validator (annotations.whodid.when)"
        )
    return Use(name, requirement, None if when is None else _condition(path, when, known))


def _condition(path: Path, text: str, known: set[str]) -> str:
    """The text of a condition that can be read and names nothing unknown."""
    try:
        unknown = expressions.names(expressions.parse(text)) - known - set(expressions.SPAN_FIELDS)
    except expressions.ExpressionError as error:
        raise ModelError(f"{path}: {error}") from error
    if unknown:
        raise ModelError(
            f"{path}: the condition {text!r} names {', '.join(sorted(unknown))}, which is unknown"
        )
    return text
