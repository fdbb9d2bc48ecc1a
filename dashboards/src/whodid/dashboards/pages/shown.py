"""Any answer as facts and tables, for pages that have no picture of their own for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from whodid.store import flat
from whodid.store.records import Answer, Record

_LEVEL = ".evidence"
_NOT_FACTS = ("gaps", "items", "next_cursor")


@dataclass(slots=True)
class Table:
    """Records of one kind, as cells; a column that no record fills is left out."""

    name: str
    columns: list[str]
    rows: list[dict[str, flat.Cell]]

    def is_number(self, column: str) -> bool:
        """Whether a column has nothing but numbers."""
        cells = [cell for row in self.rows if (cell := row.get(column)) is not None]
        return all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in cells)

    def level(self, row: dict[str, flat.Cell], column: str) -> flat.Cell:
        """The level of evidence of a cell that has one of its own."""
        return row.get(f"{column}{_LEVEL}")


@dataclass(slots=True)
class Shown:
    """An answer for people: what is said once, and what is listed."""

    facts: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    tables: list[Table] = field(default_factory=list[Table])


def shown(answer: Record) -> Shown:
    """The facts of an answer, each a value or an `Answer` with its evidence, and its lists as tables."""
    found = Shown()
    for name in type(answer).model_fields:
        value: Any = getattr(answer, name)
        if _are_records(value):
            found.tables.append(table(name, value))
        elif name not in _NOT_FACTS:
            found.facts += _facts(name, value)
    found.tables.sort(key=lambda each: each.name == "items")
    return found


def table(name: str, records: list[Record]) -> Table:
    """Records as a table."""
    rows = [flat.row(record) for record in records]
    said = dict.fromkeys(column for row in rows for column, cell in row.items() if cell not in (None, ""))
    return Table(name, [column for column in said if not column.endswith(_LEVEL)], rows)


def _are_records(value: Any) -> bool:
    several = cast("list[Any]", value) if isinstance(value, list) else []
    return bool(several) and all(isinstance(each, Record) for each in several)


def _facts(name: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Record) and not isinstance(value, Answer):
        found: list[tuple[str, Any]] = []
        for inner in type(value).model_fields:
            each: Any = getattr(value, inner)
            found += [] if _are_records(each) else _facts(f"{name}.{inner}", each)
        return found
    return [(name, value)]
