"""Reads the model (`semconv/model`, OTel Weaver's `definition/2`) into the registry's definitions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from whodid.semconv.definitions import Attribute, AttributeType, Column, Operation, Requirement

Node = dict[str, Any]


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
    sources = [folder / cast(str, dependency["registry_path"]) for dependency in manifest["dependencies"]]
    files = [path for path in sorted(folder.glob("*.yaml")) if path.name != "manifest.yaml"]
    files += [path for source in sources for path in sorted(source.glob("*.yaml"))]
    documents = {path: _read(path) for path in files}
    for path, document in documents.items():
        if document.get("file_format") != "definition/2":
            raise ModelError(f"{path}: file_format is not definition/2")

    model = Model(cast(str, manifest["schema_url"]), _groups(documents, folder), (), {}, {}, {})
    for document in documents.values():
        for node in cast(list[Node], document.get("attributes", [])):
            _describe(model, node)
    operations = _operations(documents, set(model.attributes))
    return Model(model.schema_url, model.groups, operations, model.enum_briefs, model.notes, model.sources)


def _read(path: Path) -> Node:
    import yaml  # only who compiles the model needs it

    try:
        return cast(Node, yaml.safe_load(path.read_text()))
    except (OSError, yaml.YAMLError) as error:
        raise ModelError(f"{path}: {error}") from error


def _groups(documents: dict[Path, Node], folder: Path) -> tuple[Group, ...]:
    seen: dict[str, Path] = {}
    groups: list[Group] = []
    for path, document in documents.items():
        attributes: list[Attribute] = []
        for node in cast(list[Node], document.get("attributes", [])):
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
    name = cast(str, node["key"])
    hints = _hints(node)
    declared: Any = node["type"]
    values: tuple[str, ...] = ()
    if isinstance(declared, dict):
        members = cast(list[Node], cast(Node, declared)["members"])
        values = tuple(cast(str, member["value"]) for member in members)
        declared = "string"
    try:
        return Attribute(
            name=name,
            type=AttributeType(declared),
            brief=cast(str, node["brief"]).strip(),
            column=Column(hints["column"]) if "column" in hints else None,
            values=values,
            closed=bool(hints.get("closed", False)),
        )
    except ValueError as error:
        raise ModelError(f"{path}: {name}: {error}") from error


def _hints(node: Node) -> Node:
    """Our annotations, which Weaver passes by."""
    return cast(Node, cast(Node, node.get("annotations", {})).get("whodid", {}))


def _describe(model: Model, node: Node) -> None:
    name = cast(str, node["key"])
    if "note" in node:
        model.notes[name] = cast(str, node["note"]).strip()
    if "source" in _hints(node):
        model.sources[name] = cast(str, _hints(node)["source"])
    if isinstance(node["type"], dict):
        members = cast(list[Node], cast(Node, node["type"])["members"])
        model.enum_briefs[name] = {member["value"]: member["brief"] for member in members}


def _operations(documents: dict[Path, Node], known: set[str]) -> tuple[Operation, ...]:
    groups: dict[str, list[Node]] = {
        group["id"]: group["attributes"]
        for document in documents.values()
        for group in cast(list[Node], document.get("attribute_groups", []))
    }
    operations: list[Operation] = []
    for path, document in documents.items():
        for span in cast(list[Node], document.get("spans", [])):
            attributes = tuple(_references(path, span["attributes"], groups, known))
            operations.append(
                Operation(cast(str, _hints(span)["operation"]), cast(str, span["brief"]), attributes)
            )
    return tuple(operations)


def _references(
    path: Path, nodes: list[Node], groups: dict[str, list[Node]], known: set[str]
) -> list[tuple[str, Requirement]]:
    resolved: list[tuple[str, Requirement]] = []
    for node in nodes:
        if "ref_group" in node:
            if node["ref_group"] not in groups:
                raise ModelError(f"{path}: no attribute group {node['ref_group']}")
            resolved += _references(path, groups[node["ref_group"]], groups, known)
        else:
            name = cast(str, node["ref"])
            if name not in known:
                raise ModelError(f"{path}: no attribute {name}")
            level: Any = node.get("requirement_level", "recommended")
            word = next(iter(cast(Node, level))) if isinstance(level, dict) else level
            resolved.append((name, Requirement(word)))
    return resolved
