"""Conditions: what can be written, what they look at, and what is refused."""

from __future__ import annotations

import pytest

from whodid.semconv.expressions import AllOf, AnyOf, ExpressionError, Not, OneOf, Present, names, parse


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("present(a.b)", Present("a.b")),
        ('a.b == "x"', OneOf("a.b", ("x",))),
        ('a.b in ("x", "y")', OneOf("a.b", ("x", "y"))),
        ("not present(a.b)", Not(Present("a.b"))),
        (
            'present(a.b) and (a.c == "x" or not present(a.d))',
            AllOf((Present("a.b"), AnyOf((OneOf("a.c", ("x",)), Not(Present("a.d")))))),
        ),
    ],
)
def test_what_can_be_written(text: str, expression: object) -> None:
    assert parse(text) == expression


def test_the_attributes_that_it_looks_at() -> None:
    assert names(parse('present(a.b) and not (a.c == "x" or a.d in ("y",))')) == {"a.b", "a.c", "a.d"}


@pytest.mark.parametrize(
    "text",
    ["", "a.b", "a.b ==", "a.b == 1", "a.b != 'x'", "f(a.b)", "present()", "present('a')", "a[0] == 'x'"],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse(text)
