"""Mutants of what the model says of an attribute: asked for, type, values, format, name; made from it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.processor.rules.mutants import Mutant, mutant, saying, setting
from tests.processor.rules.records import valid
from tests.spans import Value
from whodid.processor.rules.view import View
from whodid.processor.stages.decode import decode
from whodid.processor.stages.enrich import enrich
from whodid.processor.stages.normalise import normalise
from whodid.semconv import attributes as attr
from whodid.semconv import expressions
from whodid.semconv.definitions import AttributeType, Format, Requirement
from whodid.semconv.registry import ATTRIBUTES, OPERATIONS
from whodid.semconv.values import FindingRule as Id


def of_requirements(requirement: Requirement, rule: Id) -> Iterator[Mutant]:
    """Every attribute that an operation asks for, taken from one span of it where it has to be."""
    records = valid()
    view = View(enrich(normalise(decode(records.bodies()))))
    rows = {span_id: row for row, span_id in enumerate(view.batch.spans.column("span_id").to_pylist())}
    for operation in OPERATIONS.values():
        for use in operation.uses:
            if use.requirement is not requirement or use.name in expressions.names(
                expressions.parse(operation.match)
            ):  # without that it is no span of the operation
                continue
            asked = view.operation(operation.name)
            if use.when is not None:
                asked = asked & view.where(expressions.parse(use.when))
            names = [
                name
                for name, span in records.spans.items()
                if asked[rows[span.span_id]] and use.name in span.attributes
            ]
            if not names and requirement is Requirement.RECOMMENDED:
                continue  # the valid record does not say all that it could
            assert names, f"the valid record has no {operation.name} with {use.name} where {use.when}"
            change = setting(names[-1], use.name, None)
            yield mutant(f"{operation.name} without {use.name}", names[-1], use.name, rule, change)


def empty() -> Iterator[Mutant]:
    nothing: tuple[tuple[str, Value], ...] = (
        (attr.ATTRIBUTION_PRINCIPAL_ID, ""),
        (attr.ATTRIBUTION_DELEGATION_CHAIN, []),
    )
    for name, value in nothing:
        yield mutant(f"empty {name}", "plan", name, Id.MISSING_REQUIRED, setting("plan", name, value))


def home(attribute: str) -> str:
    """A span that says this attribute, of those that no other span says anything about."""
    alone = (
        "plan",
        "cached execution",
        "denied decision",
        "refusal",
        "execution of a part",
        "failed execution",
    )
    records = valid()
    for name in (*alone, *records.spans):
        if attribute in records[name].attributes:
            return name
    return "plan"


def of_types() -> Iterator[Mutant]:
    for attribute in ATTRIBUTES.values():
        wrong: Value = 5 if attribute.type is not AttributeType.INT else "five"
        if attribute.type is AttributeType.ANY or attribute.name == attr.ATTRIBUTION_EVIDENCE_LEVEL:
            continue
        record = home(attribute.name)
        change = setting(record, attribute.name, wrong)
        rules: tuple[Id, ...] = (Id.TYPE_MISMATCH,)
        reason = ""
        if attribute.renamed_to:
            rules, reason = (
                (Id.TYPE_MISMATCH, Id.DEPRECATED_NAME),
                "the old name is one thing, its value another",
            )
        name = f"{attribute.name} of another type"
        yield mutant(name, record, attribute.name, rules, change, reason)
    kinds: tuple[Value, ...] = (True, 1.5, ["a"], {"a": "b"}, b"a")
    for value in kinds:
        name = f"a string that is {value!r}"
        change = saying("plan", ATTRIBUTION_TASK_ID=value)
        yield mutant(name, "plan", attr.ATTRIBUTION_TASK_ID, Id.TYPE_MISMATCH, change)
    no_lists_of_strings: tuple[Value, ...] = ("a", ["a", 1], [["a"]])
    for attribute_name in (attr.ATTRIBUTION_DELEGATION_CHAIN, attr.USER_ROLES):
        for value in no_lists_of_strings:
            name = f"{attribute_name} that is {value!r}"
            change = setting("plan", attribute_name, value)
            yield mutant(name, "plan", attribute_name, Id.TYPE_MISMATCH, change)


def of_enums() -> Iterator[Mutant]:
    for attribute in ATTRIBUTES.values():
        if not attribute.values or attribute.name == attr.ATTRIBUTION_EVIDENCE_LEVEL:
            continue
        record = home(attribute.name)
        rule = Id.UNDEFINED_VALUE if attribute.closed else Id.OPEN_VALUE
        change = setting(record, attribute.name, "guessed")
        yield mutant(f"{attribute.name} that is guessed", record, attribute.name, rule, change)
    yield mutant(
        "a status of the approval that nobody defined",
        "approved execution",
        attr.ATTRIBUTION_APPROVAL_STATUS,
        (Id.UNDEFINED_VALUE, Id.APPROVAL_MISMATCH),
        saying("approved execution", ATTRIBUTION_APPROVAL_STATUS="fine"),
        "what nobody defined is no grant",
    )


BAD_FORMATS: dict[Format, tuple[str, ...]] = {
    Format.DIGEST: (
        "sha256:0",
        f"sha256:{'a' * 63}",
        f"sha256:{'a' * 65}",
        f"sha256:{'A' * 64}",
        f"sha256:{'g' * 64}",
        f"SHA256:{'a' * 64}",
        f"sha512:{'a' * 64}",
        "é" * 32 + "sha256:",
    ),
    Format.RFC3339: (
        "soon",
        "2026-11-24",
        "2026-11-24T15:00:00",
        "2026-11-24 15:00:00Z",
        "2026-11-24T15:00:00+02:00",
        "2026-13-24T15:00:00Z",
        "2026-02-30T15:00:00Z",
    ),
    Format.TRACE_ID: ("0" * 32, "a" * 31, "A" * 32, "g" * 32),
    Format.SPAN_ID: ("0" * 16, "a" * 15, "A" * 16, "a" * 32),
    Format.SPIFFE_ID: (
        "spiffe://",
        "https://acme.example/agent",
        "spiffe://Acme.example/agent",
        "spiffe://acme.example:443/agent",
        "spiffe://acme.example/agent/",
        "spiffe://acme.example//agent",
        "spiffe://acme.example/../agent",
        "spiffe://acme.example/agent?x=1",
    ),
}


def of_formats() -> Iterator[Mutant]:
    asked = {name: each.format for name, each in ATTRIBUTES.items() if each.format is not None}
    asked[attr.ATTRIBUTION_AGENT_IDENTITY_ID] = Format.SPIFFE_ID
    for name, format_ in asked.items():
        record = home(name)
        for value in BAD_FORMATS[format_]:
            change = setting(record, name, value)
            yield mutant(f"{name} that is {value}", record, name, Id.INVALID_FORMAT, change)


def of_names() -> Iterator[Mutant]:
    for name, attribute in ATTRIBUTES.items():
        if attribute.renamed_to:
            value: Value = 5 if attribute.type is AttributeType.INT else "x"
            yield mutant(f"older {name}", "plan", name, Id.DEPRECATED_NAME, setting("plan", name, value))
    for name in (
        "atribution.task.id",
        "attributions.task.id",
        "attribution.task.ids",
        "attribution.Task.id",
        "attribution.agent.instance_id",
        "attribution.principle.id",
        "attribution.policy.desicion.id",
    ):
        yield mutant(f"misspelt {name}", "plan", name, Id.MISSPELT_NAME, setting("plan", name, "x"))
    for name in ("attribution.mood", "attribution.task.id.of.another", "attribution.task"):
        yield mutant(f"unknown {name}", "plan", name, Id.UNKNOWN_NAME, setting("plan", name, "x"))


MUTANTS: tuple[Mutant, ...] = (
    *of_requirements(Requirement.REQUIRED, Id.MISSING_REQUIRED),
    *of_requirements(Requirement.CONDITIONAL, Id.MISSING_CONDITIONAL),
    *of_requirements(Requirement.RECOMMENDED, Id.MISSING_RECOMMENDED),
    *empty(),
    *of_types(),
    *of_enums(),
    *of_formats(),
    *of_names(),
)
