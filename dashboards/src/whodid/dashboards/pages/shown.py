"""Any answer as facts and tables, for pages that have no picture of their own for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from whodid.store import flat
from whodid.store.records import Record

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
        if flat.are_records(value):
            found.tables.append(table(name, value))
        elif name not in _NOT_FACTS:
            found.facts += flat.facts(name, value)
    found.tables.sort(key=lambda each: each.name == "items")
    return found


def table(name: str, records: list[Record]) -> Table:
    """Records as a table."""
    rows = [flat.row(record) for record in records]
    said = dict.fromkeys(column for row in rows for column, cell in row.items() if cell not in (None, ""))
    return Table(name, [column for column in said if not column.endswith(_LEVEL)], rows)
