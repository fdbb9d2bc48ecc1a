"""An answer's items as flat rows, and those as CSV in which a span's text can do nothing but be read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

from whodid.store.records import Answer, Record

Cell = str | int | float | bool | None

_ANSWER = {"value", "evidence", "spans"}
# What a spreadsheet takes for a formula, also in the wide forms of CJK keyboards (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "|", "%")


def row(item: Record) -> dict[str, Cell]:
    """An item as one row: nested names are joined by dots, an answer's evidence has a column of its own.

    Lists are JSON. The order of the fields is kept.
    """
    return dict(_cells("", item.model_dump(mode="json")))


def are_records(value: Any) -> bool:
    """Whether a field of an answer is a list of records: a table of its own, and no fact."""
    several = cast("list[Any]", value) if isinstance(value, list) else []
    return bool(several) and all(isinstance(each, Record) for each in several)


def facts(name: str, value: Any) -> list[tuple[str, Any]]:
    """What a field of an answer says once, by dotted names; each `Answer` stays one, with its level."""
    if isinstance(value, Record) and not isinstance(value, Answer):
        found: list[tuple[str, Any]] = []
        for inner in type(value).model_fields:
            each: Any = getattr(value, inner)
            found += [] if are_records(each) else facts(f"{name}.{inner}", each)
        return found
    return [(name, value)]


def as_csv(rows: Sequence[dict[str, Cell]]) -> str:
    """Rows as CSV (RFC 4180) with a header.

    Text that a spreadsheet would calculate begins with an apostrophe instead; what could steer a terminal or
    turn the writing round is written as an escape.
    """
    names = list(dict.fromkeys(name for each in rows for name in each))
    return table_as_csv(names, [[each.get(name) for name in names] for each in rows])


def table_as_csv(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """The same of a table, whose columns may be called anything."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL)
    writer.writerow([_safe(name) for name in names])
    writer.writerows([_safe(cell(each)) for each in row] for row in rows)
    return out.getvalue()


def visible(text: str) -> str:
    """The text with everything that could steer a terminal or turn the writing round made visible.

    Control characters (ECMA-48) and the bidirectional controls of Unicode TR 9 are written as escapes.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )


def _cells(prefix: str, value: dict[str, Any]) -> Iterable[tuple[str, Cell]]:
    for name, each in value.items():
        path = f"{prefix}{name}"
        if isinstance(each, dict):
            inner = cast("dict[str, Any]", each)
            if set(inner) == _ANSWER:
                yield path, cell(inner["value"])
                yield f"{path}.evidence", inner["evidence"]
            else:
                yield from _cells(f"{path}.", inner)
        else:
            yield path, cell(each)


def cell(value: Any) -> Cell:
    """A value as one cell: a list or an object as JSON, an empty one as nothing."""
    if isinstance(value, list | dict):
        several = cast("list[Any] | dict[str, Any]", value)
        return json.dumps(several, ensure_ascii=False) if several else None
    return cast("Cell", value)


def _safe(value: Cell) -> Cell:
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else value
    text = visible(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
