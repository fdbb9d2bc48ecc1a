"""How any answer looks: tables for people, JSON and CSV for programs, and the SQL behind it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.table import Table
from rich.text import Text

from whodid.cli import show
from whodid.semconv.values import EvidenceLevel
from whodid.store import flat
from whodid.store.records import Answer, Record, TraceRecord, WhoRecord

if TYPE_CHECKING:
    from whodid.store.questions import AmbiguousIdError
    from whodid.store.reader import Statement

_EVIDENCE = ".evidence"
_MISSING = "—"
_COLUMN_GAP = 2


def as_json(answer: Record) -> str:
    """An answer as JSON. Everything beyond printable ASCII is escaped, so that it can steer no terminal."""
    return json.dumps(answer.model_dump(mode="json"), indent=2).replace("\x7f", "\\u007f")


def as_csv(answer: Any) -> None:
    """Prints a listing's items as CSV."""
    sys.stdout.write(flat.as_csv([flat.row(item) for item in answer.items]).replace("\r\n", "\n"))


def csv_of(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints a query's rows as CSV; columns of the same name stay several."""
    sys.stdout.write(flat.table_as_csv(columns, rows).replace("\r\n", "\n"))


def table_of(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Prints a query's rows as a table."""
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(Text(show.plain(name)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(_MISSING if each is None else show.plain(str(flat.cell(each)))) for each in row))
    Console(highlight=False, emoji=False).print(table)


def sql(statements: Sequence[Statement]) -> None:
    """Prints the queries as they were run, their parameters as comments."""
    for statement in statements:
        print(f"-- {statement.query}")
        for name, value in statement.parameters.items():
            # As the API gives them, so that a service and its store say the same.
            plain = to_jsonable_python(value, bytes_mode="hex")
            print(f"--   {name} = {show.plain(repr(plain))}")
        print(statement.text)


def candidates(error: AmbiguousIdError) -> None:
    """Prints what an id may mean, to standard error."""
    for each in error.candidates:
        line = f"{each.ask}  {each.operation} {each.tool}  for {each.principal or _MISSING}"
        print(show.plain(line), file=sys.stderr)


def for_people(answer: Record) -> None:
    """Prints an answer as people read it."""
    if isinstance(answer, WhoRecord):
        show.record(answer)
    elif isinstance(answer, TraceRecord):
        show.trace(answer)
    else:
        _answer(Console(highlight=False, soft_wrap=not sys.stdout.isatty(), emoji=False), answer)


@contextmanager
def waiting(what: str) -> Generator[None]:
    """Shows on a terminal that something is being done."""
    console = Console(stderr=True)
    with console.status(f"asking {what} …"):  # rich shows it on a terminal alone
        yield


@contextmanager
def progress(what: str) -> Generator[Callable[[int], None]]:
    """Shows on a terminal how many items there are so far."""
    console = Console(stderr=True)
    with console.status(f"asking {what} …") as status:
        yield lambda count: status.update(f"asking {what}: {count} items …")


def _answer(console: Console, answer: Record) -> None:
    lists: dict[str, list[Record]] = {}
    facts: list[tuple[str, Any]] = []
    for name in type(answer).model_fields:
        value: Any = getattr(answer, name)
        if flat.are_records(value):
            lists[name] = value
        elif name not in ("gaps", "items", "next_cursor"):
            facts += flat.facts(name, value)
    if facts:
        console.print(_pairs(facts))
    for name, records in sorted(lists.items(), key=lambda each: each[0] == "items"):
        if records:
            console.print(Text(f"\n{_words(name)}" if name != "items" else "", style="bold"))
            _records(console, records)
    if hasattr(answer, "items") and not answer.items:  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        console.print(Text("nothing found", style="bold"))
    gaps: list[str] = getattr(answer, "gaps", [])
    if gaps:
        console.print(Text("\ngaps", style="bold"))
        for gap in gaps:
            console.print(Text(f"  {show.plain(gap)}"))


def _pairs(facts: list[tuple[str, Any]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(_words(name), _text(value))
    return table


def _text(value: Any) -> Text:
    if isinstance(value, Answer):
        shown = value.value
        text = _MISSING if not shown else " → ".join(shown) if isinstance(shown, list) else shown
        style = show.STYLES[value.evidence]
        return Text.assemble(show.plain(text), "  ", (value.evidence.value, style))
    if isinstance(value, list):
        return Text(show.plain(", ".join(str(each) for each in cast("list[Any]", value))) or _MISSING)
    if isinstance(value, dict):
        pairs = cast("dict[str, Any]", value).items()
        return Text(show.plain(", ".join(f"{name} {each}" for name, each in pairs)) or _MISSING)
    return Text(_MISSING if value is None else show.plain(str(value)))


def _records(console: Console, records: list[Record]) -> None:
    """A table where it fits, otherwise a block an item; what no item has is left out."""
    rows = [flat.row(record) for record in records]
    said = dict.fromkeys(name for row in rows for name, cell in row.items() if cell not in (None, ""))
    columns = [name for name in said if not name.endswith(_EVIDENCE)]
    widths = [max(len(name), *(len(_cell(row, name).plain) for row in rows)) for name in columns]
    if sum(widths) + _COLUMN_GAP * len(widths) <= console.width:
        table = Table(box=None, pad_edge=False)
        for name in columns:
            table.add_column(_words(name))
        for row in rows:
            table.add_row(*(_cell(row, name) for name in columns))
        console.print(table)
        return
    for row in rows:
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        for name in columns:
            if row.get(name) not in (None, ""):
                table.add_row(_words(name), _cell(row, name))
        console.print(table)
        console.print()


def _cell(row: dict[str, flat.Cell], name: str) -> Text:
    cell = row.get(name)
    if cell is None or cell == "":
        return Text(_MISSING, style="dim")
    level = row.get(f"{name}{_EVIDENCE}")
    style = show.STYLES[EvidenceLevel(str(level))] if level else ""
    return Text(show.plain(str(cell).lower() if isinstance(cell, bool) else str(cell)), style=style)


def _words(name: str) -> str:
    return name.replace("_", " ")
