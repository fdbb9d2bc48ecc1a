"""One page of a listing in the order of time, trace and key: what questions about actions have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from whodid.store.questions import cursor

if TYPE_CHECKING:
    from whodid.store.questions.question import Paged
    from whodid.store.reader import Reader

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """The rows of a page, and what is the same on every page."""

    rows: list[Row]
    next_cursor: str | None
    totals: Row
    """The first row of all, with what the query counted over all of them; empty where there is none."""


def _key(row: Row) -> str:
    return str(row["key"])


def read(
    reader: Reader,
    query: str,
    parameters: Paged,
    given: Mapping[str, Any],
    *,
    key: Callable[[Row], str] = _key,
) -> Page:
    """Runs a query that sorts by `start_ns`, `trace` and what `key` makes of a row.

    The query takes `after_ns`, `after_trace` and `after_key`, where the page begins, and `limit`. It may
    return the first row of all on every page, and then says with `listed` which rows are of the page.
    Raises CursorError.
    """
    after_ns, after_trace, after_key = cursor.BEFORE_ALL
    if parameters.cursor:
        after_ns, after_trace, after_key = cursor.decode(parameters.cursor, (int, str, str))
    rows = reader.rows(
        query,
        {
            **given,
            "after_ns": after_ns,
            "after_trace": after_trace,
            "after_key": after_key,
            # One more tells whether there is a next page, and one may be there for its counts alone.
            "limit": parameters.limit + 2,
        },
    )
    listed = [row for row in rows if row.get("listed", True)]
    page = listed[: parameters.limit]
    last = page[-1] if len(listed) > parameters.limit else None
    return Page(
        rows=page,
        next_cursor=cursor.encode(last["start_ns"], last["trace"], key(last)) if last else None,
        totals=rows[0] if rows else {},
    )
