"""Renders the model as Python: the attributes' names, the enums' values, and the registry."""

from __future__ import annotations

from pathlib import Path

from whodid.semconv.definitions import Attribute
from whodid.semconv.model import Model

FOLDER = Path("src/whodid/semconv")
_HEADER = "# Generated from semconv/model by `whodid semconv generate`; do not edit.\n"


def render(model: Model) -> dict[Path, str]:
    """The modules that are generated: path below `semconv/` to text."""
    return {
        FOLDER / "attributes.py": _attributes(model),
        FOLDER / "values.py": _values(model),
        FOLDER / "registry.py": _registry(model),
    }


def constant(name: str) -> str:
    """The Python constant of an attribute: `gen_ai.tool.name` is `GEN_AI_TOOL_NAME`."""
    return name.replace(".", "_").upper()


def enum_class(attribute: Attribute) -> str:
    """The Python class of an enum attribute: `attribution.action.mode` is `ActionMode`."""
    words = attribute.name.removeprefix("attribution.").replace(".", "_").split("_")
    return "".join(word.capitalize() for word in words)


def _attributes(model: Model) -> str:
    lines = [_HEADER, '"""The names of the attributes."""\n', "from typing import Final\n"]
    lines.append(f'SCHEMA_URL: Final = "{model.schema_url}"\n')
    for group in model.groups:
        lines.append(f"# {group.name}")
        lines += [f'{constant(each.name)}: Final = "{each.name}"' for each in group.attributes]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _values(model: Model) -> str:
    lines = [_HEADER, '"""The values of the enum attributes."""\n', "from enum import StrEnum\n"]
    for attribute in model.attributes.values():
        if attribute.values:
            lines += ["", f"class {enum_class(attribute)}(StrEnum):", f'    """{attribute.brief}"""', ""]
            lines += [f'    {value.upper()} = "{value}"' for value in attribute.values]
            lines.append("")
    return "\n".join(lines)


def _registry(model: Model) -> str:
    lines = [
        _HEADER,
        '"""The registry: every attribute with its type, and what each operation\'s spans have to say."""\n',
        "from typing import Final\n",
        "from whodid.semconv.definitions import (",
        "    Attribute, AttributeType, Column, Format, Operation, Requirement, Rule, Use,",
        ")\n",
        "ATTRIBUTES: Final[dict[str, Attribute]] = {",
        "    attribute.name: attribute",
        "    for attribute in (",
        *(f"        {_attribute_call(attribute)}," for attribute in model.attributes.values()),
        "    )",
        "}\n",
        "OPERATIONS: Final[dict[str, Operation]] = {",
        "    operation.name: operation",
        "    for operation in (",
    ]
    for operation in model.operations:
        head = ", ".join(_quote(text) for text in (operation.name, operation.brief, operation.match))
        lines += [f"        Operation({head}, ("]
        for use in operation.uses:
            when = f", {_quote(use.when)}" if use.when else ""
            lines += [f'            Use("{use.name}", Requirement.{use.requirement.name}{when}),']
        lines += ["        )),"]
    lines += ["    )", "}\n", "RULES: Final[dict[str, Rule]] = {", "    rule.id: rule", "    for rule in ("]
    for rule in model.rules:
        head = ", ".join(_quote(text) for text in (rule.id, rule.brief, rule.severity))
        lines += [f"        Rule({head}, {_tuple(rule.controls)}),"]
    lines += ["    )", "}"]
    return "\n".join(lines) + "\n"


def _attribute_call(attribute: Attribute) -> str:
    arguments = [f'"{attribute.name}"', f"AttributeType.{attribute.type.name}", _quote(attribute.brief)]
    if attribute.column:
        arguments.append(f"column=Column.{attribute.column.name}")
    if attribute.values:
        arguments.append(f"values={_tuple(attribute.values)}")
    if attribute.closed:
        arguments.append("closed=True")
    if attribute.format:
        arguments.append(f"format=Format.{attribute.format.name}")
    if attribute.renamed_to:
        arguments.append(f"renamed_to={_quote(attribute.renamed_to)}")
    return f"Attribute({', '.join(arguments)})"


def _tuple(texts: tuple[str, ...]) -> str:
    return f"({', '.join(_quote(text) for text in texts)},)"


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
