"""The conditions in the model: a small language of masks over a span's attributes.

    present(attribution.approval.id)
    attribution.action.mode == "human_approved" and not span.status == "ERROR"
    attribution.result.source in ("cache", "replay")

`span.kind` and `span.status` are the span's own, in OTLP's words (`CLIENT`, `ERROR`). It is read with
Python's own parser, and evaluated by whoever has the columns.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

SPAN_FIELDS = ("span.kind", "span.status")


class ExpressionError(Exception):
    """The text is no condition; the message says which part of it."""


@dataclass(frozen=True, slots=True)
class Present:
    """The attribute has a value that is not empty."""

    name: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """The attribute is one of these strings; false where it is missing."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Expression


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Expression, ...]


Expression = Present | OneOf | Not | AllOf | AnyOf


def parse(text: str) -> Expression:
    """The condition that `text` writes. Raises ExpressionError."""
    try:
        return _read(ast.parse(text.strip(), mode="eval").body)
    except SyntaxError as error:
        raise ExpressionError(f"{text!r} is no condition: {error.msg}") from None


def names(expression: Expression) -> frozenset[str]:
    """The attributes that a condition looks at."""
    match expression:
        case Present(name) | OneOf(name, _):
            return frozenset((name,))
        case Not(part):
            return names(part)
        case AllOf(parts) | AnyOf(parts):
            return frozenset(name for part in parts for name in names(part))


def _read(node: ast.expr) -> Expression:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return AllOf(tuple(_read(value) for value in values))
        case ast.BoolOp(op=ast.Or(), values=values):
            return AnyOf(tuple(_read(value) for value in values))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Not(_read(operand))
        case ast.Call(func=ast.Name(id="present"), args=[argument], keywords=[]):
            return Present(_name(argument))
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[value]):
            return OneOf(_name(left), (_string(value),))
        case ast.Compare(left=left, ops=[ast.In()], comparators=[ast.Tuple(elts=values)]):
            return OneOf(_name(left), tuple(_string(value) for value in values))
        case _:
            raise ExpressionError(
                f"{ast.unparse(node)!r} is no condition: "
                'write present(NAME), NAME == "value", NAME in ("a", "b"), and, or, not'
            )


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute):
            return f"{_name(value)}.{attribute}"
        case _:
            raise ExpressionError(f"{ast.unparse(node)!r} is no attribute's name")


def _string(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise ExpressionError(f"{ast.unparse(node)!r} is no string")
