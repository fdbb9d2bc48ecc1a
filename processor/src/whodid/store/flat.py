"""An answer's items as flat rows, and those as CSV in which a span's text can do nothing but be read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any, cast

from whodid.store.records import Record

Cell = str | int | float | bool | None

_ANSWER = {"value", "evidence", "spans"}
# What a spreadsheet takes for a formula, also in the wide forms of CJK keyboards (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "|", "%")


def row(item: Record) -> dict[str, Cell]:
    """An item as one row: nested names are joined by dots, an answer's evidence has a column of its own.

    Lists are JSON. The order of the fields is kept.
    """
    return dict(_cells("", item.model_dump(mode="json")))


def as_csv(rows: Sequence[dict[str, Cell]], columns: Iterable[str] = ()) -> str:
    """Rows as CSV (RFC 4180) with a header; `columns` are in front of those that the rows have.

    Text that a spreadsheet would calculate begins with an apostrophe instead; what could steer a terminal or
    turn the writing round is written as an escape.
    """
    names = list(dict.fromkeys([*columns, *(name for each in rows for name in each)]))
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL)
    writer.writerow(names)
    writer.writerows([_safe(each.get(name)) for name in names] for each in rows)
    return out.getvalue()


def columns(item: type[Record]) -> list[str]:
    """The columns of an empty page: what an item's own fields are called."""
    return list(item.model_fields)


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
                yield path, _cell(inner["value"])
                yield f"{path}.evidence", inner["evidence"]
            else:
                yield from _cells(f"{path}.", inner)
        else:
            yield path, _cell(each)


def _cell(value: Any) -> Cell:
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False) if value else None
    return cast("Cell", value)


def _safe(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return str(cell).lower() if isinstance(cell, bool) else cell
    text = visible(cell)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text
