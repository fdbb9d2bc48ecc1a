"""Whether the conditions, which are written twice, are written twice, can be read and name what is known."""

from __future__ import annotations

from collections.abc import Iterator

from whodid.semconv import expressions
from whodid.semconv.expressions import AllOf, AnyOf, Expression, Not, OneOf, Present
from whodid.semconv.resolver import Resolved, SignalKind
from whodid.semconv.source import Place, Problem, did_you_mean

CONDITIONAL = "conditionally_required"


def problems(resolved: Resolved) -> Iterator[Problem]:
    """What is wrong with the conditions of requirements, and with those by which an operation is known."""
    found: dict[Problem, None] = {}  # a group's reference is looked at once for every signal that has it
    for signal in resolved.signals:
        for reference in signal.references:
            if (reference.requirement == CONDITIONAL) != (reference.when is not None):
                hint = (
                    f"write `requirement_level: {{{CONDITIONAL}: TEXT}}` "
                    "and `annotations: {whodid: {when: EXPRESSION}}`"
                )
                cause = f"{reference.name} has its condition for people or for the validator only"
                found[Problem(reference.place, cause, hint)] = None
            if reference.when is not None:
                found |= dict.fromkeys(_condition(resolved, reference.place, reference.when))
    yield from found
    for span in resolved.of_kind(SignalKind.SPAN):
        if "match" in span.node.hints:
            place = span.document.place(span.node.hints, "match")
            yield from _condition(resolved, place, span.node.hints.text("match"))


def _condition(resolved: Resolved, place: Place, text: str) -> Iterator[Problem]:
    try:
        expression = expressions.parse(text)
    except expressions.ExpressionError as error:
        cause, _, hint = str(error).partition(": write ")
        yield Problem(
            place, cause, f"write {hint}" if hint else 'such as `present(NAME)` or `NAME == "value"`'
        )
        return
    known = {*resolved.attributes, *expressions.SPAN_FIELDS}
    for name in sorted(expressions.names(expression) - known):
        yield Problem(place, f"the condition names {name}, which is no attribute", did_you_mean(name, known))
    for name, value in sorted(_compared(expression)):
        members = (
            resolved.attributes[name].node.map("type").maps("members") if name in resolved.attributes else []
        )
        values = [member.text("value") for member in members]
        if values and value not in values:
            hint = did_you_mean(value, values) or f"one of {', '.join(values)}"
            yield Problem(
                place, f"the condition compares {name} with {value!r}, which is none of its values", hint
            )


def _compared(expression: Expression) -> set[tuple[str, str]]:
    """The attributes and the strings that a condition compares them with."""
    match expression:
        case Present():
            return set()
        case OneOf(name, values):
            return {(name, value) for value in values}
        case Not(part):
            return _compared(part)
        case AllOf(parts) | AnyOf(parts):
            return {pair for part in parts for pair in _compared(part)}
