"""Reads the model (`semconv/model`, OTel Weaver's `definition/2`) into the registry's definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whodid.semconv.checks import conditions, references, syntax
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
from whodid.semconv.resolver import Defined, Resolved, Signal, SignalKind, resolve
from whodid.semconv.source import Map, Problem, Source, read

RULE_ATTRIBUTE = "attribution.finding.rule"
"""The enum whose members are the validator's rules."""


class ModelError(Exception):
    """The model cannot be read; every problem names a file, a line, and what to write."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


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
    resolved: Resolved
    """The model as it is written, with its notes, its examples and its events, for the documentation."""

    @property
    def attributes(self) -> dict[str, Attribute]:
        return {attribute.name: attribute for group in self.groups for attribute in group.attributes}

    @property
    def version(self) -> str:
        """The last part of the schema URL."""
        return self.schema_url.rpartition("/")[2]


def load(folder: Path) -> Model:
    """Reads the model in `folder` and the upstream attributes that its manifest names.

    Raises ModelError with every problem that keeps it from being compiled: files that are no
    `definition/2`, attributes defined twice, references and conditions that name nothing.
    """
    source = read(folder)
    problems = problems_of_form(source)
    if problems:
        raise ModelError(problems)
    resolved = resolve(source)
    problems = problems_of_meaning(resolved)
    if problems:
        raise ModelError(problems)
    return compiled(source, resolved)


def problems_of_form(source: Source) -> list[Problem]:
    """What keeps the files from being read."""
    return sorted({*source.problems, *syntax.problems(source)})


def problems_of_meaning(resolved: Resolved) -> list[Problem]:
    """What keeps the model from being compiled."""
    return sorted({*references.problems(resolved), *conditions.problems(resolved)})


def compiled(source: Source, resolved: Resolved) -> Model:
    """The definitions of a model that has neither kind of problem."""
    return Model(
        schema_url=source.manifest.root.text("schema_url") if source.manifest else "",
        groups=_groups(resolved),
        operations=tuple(
            _operation(span) for span in resolved.of_kind(SignalKind.SPAN) if "operation" in span.node.hints
        ),
        rules=_rules(resolved),
        resolved=resolved,
    )


def _groups(resolved: Resolved) -> tuple[Group, ...]:
    groups: dict[str, list[Attribute]] = {}
    for defined in resolved.attributes.values():
        groups.setdefault(defined.document.group, []).append(_attribute(defined))
    return tuple(Group(name, tuple(attributes)) for name, attributes in groups.items())


def _attribute(defined: Defined) -> Attribute:
    node, hints = defined.node, defined.node.hints
    declared: Any = node["type"]
    return Attribute(
        name=defined.name,
        type=AttributeType.STRING if isinstance(declared, Map) else AttributeType(declared),
        brief=node.text("brief"),
        column=Column(hints["column"]) if "column" in hints else None,
        values=tuple(member.text("value") for member in node.map("type").maps("members")),
        closed=bool(hints.get("closed", False)),
        format=Format(hints["format"]) if "format" in hints else None,
        renamed_to=node.map("deprecated").get("renamed_to"),
    )


def _rules(resolved: Resolved) -> tuple[Rule, ...]:
    if RULE_ATTRIBUTE not in resolved.attributes:
        return ()
    return tuple(
        Rule(
            id=member.text("value"),
            brief=member.text("brief"),
            severity=member.hints.text("severity"),
            controls=tuple(member.hints.get("controls", ())),
        )
        for member in resolved.attributes[RULE_ATTRIBUTE].node.map("type").maps("members")
    )


def _operation(span: Signal) -> Operation:
    name = span.node.hints.text("operation")
    return Operation(
        name=name,
        brief=span.text("brief"),
        match=span.node.hints.text("match") or f'gen_ai.operation.name == "{name}"',
        uses=tuple(Use(each.name, Requirement(each.requirement), each.when) for each in span.references),
    )
