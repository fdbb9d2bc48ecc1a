"""What the registry consists of: attributes, the operations whose spans carry them, the validator's rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AttributeType(StrEnum):
    """An attribute's type, in the words of OTel Weaver's `definition/2`."""

    STRING = "string"
    INT = "int"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    STRINGS = "string[]"
    ANY = "any"


class Column(StrEnum):
    """How the store keeps a hot attribute; an attribute without one is kept in a map."""

    STRING = "string"
    LOW_CARDINALITY = "low_cardinality"
    ARRAY = "array"
    INT = "int"


class Format(StrEnum):
    """The syntax of a string attribute, each from a standard."""

    SPIFFE_ID = "spiffe_id"
    """SPIFFE-ID specification, section 2."""
    DIGEST = "digest"
    """`sha256:` and hexadecimal digits."""
    RFC3339 = "rfc3339"
    """RFC 3339 date-time in UTC."""
    TRACE_ID = "trace_id"
    """W3C Trace Context: 32 lower-case hexadecimal digits, not all zeros."""
    SPAN_ID = "span_id"
    """W3C Trace Context: 16 lower-case hexadecimal digits, not all zeros."""


class Requirement(StrEnum):
    """How much an operation's span needs an attribute (OpenTelemetry's requirement levels)."""

    REQUIRED = "required"
    CONDITIONAL = "conditionally_required"
    RECOMMENDED = "recommended"
    OPT_IN = "opt_in"


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of the registry, ours or one of OpenTelemetry's that we name."""

    name: str
    type: AttributeType
    brief: str
    column: Column | None = None
    values: tuple[str, ...] = ()
    """The enum's members; empty for an attribute that is not an enum."""
    closed: bool = False
    """Whether a value outside `values` is a finding: an auditor cannot act on a value nobody defined."""
    format: Format | None = None
    renamed_to: str | None = None
    """For a deprecated attribute, the one that took its place."""

    @property
    def column_name(self) -> str:
        """The name of the store's column: OTel's rule that `.` becomes `_` keeps these unique."""
        return self.name.replace(".", "_")


@dataclass(frozen=True, slots=True)
class Use:
    """An attribute as an operation's spans use it."""

    name: str
    requirement: Requirement
    when: str | None = None
    """For a conditional requirement, the condition (`expressions`) under which the attribute is required."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What a kind of span has to say."""

    name: str
    brief: str
    match: str
    """The condition (`expressions`) by which a span is one of these; never its name or type."""
    uses: tuple[Use, ...]

    def with_requirement(self, requirement: Requirement) -> tuple[str, ...]:
        """The names of the attributes at one requirement level, in the model's order."""
        return tuple(use.name for use in self.uses if use.requirement is requirement)


@dataclass(frozen=True, slots=True)
class Rule:
    """One of the validator's rules: a member of `attribution.finding.rule`."""

    id: str
    brief: str
    severity: str
    """`violation`, `improvement` or `information`, as OTel Weaver's live-check has them."""
    controls: tuple[str, ...] = ()
    """What a finding bears on: ids such as `OWASP-ASI03`, listed in the findings' documentation."""
