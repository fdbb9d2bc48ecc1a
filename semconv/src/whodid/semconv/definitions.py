"""What the registry consists of: attributes and the operations whose spans carry them."""

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

    @property
    def column_name(self) -> str:
        """The name of the store's column: OTel's rule that `.` becomes `_` keeps these unique."""
        return self.name.replace(".", "_")


@dataclass(frozen=True, slots=True)
class Operation:
    """What a span with this `gen_ai.operation.name` has to say."""

    name: str
    brief: str
    attributes: tuple[tuple[str, Requirement], ...]

    def with_requirement(self, requirement: Requirement) -> tuple[str, ...]:
        """The names of the attributes at one requirement level, in the model's order."""
        return tuple(name for name, level in self.attributes if level is requirement)
