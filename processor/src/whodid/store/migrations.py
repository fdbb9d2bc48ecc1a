"""Brings a store's tables to what this version needs: numbered steps, the registry's columns, retention."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from whodid.processor.errors import WhodidError
from whodid.store import collector_view, derived, ledger, schema, surroundings
from whodid.store.layout import Layout
from whodid.store.ledger import Ledger
from whodid.store.retention import TABLES, Retention
from whodid.store.surroundings import FORMER, SURROUNDINGS

Make = Callable[[Layout], tuple[str, ...]]


class SchemaError(WhodidError):
    """The store's tables are not what this version can work with."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change of the tables. It only adds, so that a version that does not know it goes on working."""

    version: int
    name: str
    make: Make
    former: frozenset[str] = frozenset()
    """Checksums of forms from before the first release. Their stores are taken on, and get what they lack."""

    @property
    def checksum(self) -> str:
        """The same for every database and layout: that of the statements for one ClickHouse."""
        return _checksum(self.make(Layout("whodid")))


STEPS = (
    Step(
        1,
        "spans and findings",
        schema.create_tables,
        frozenset(("8f0dd83ed351b62a5dcde2fc17fb84aa683123597090663dfcb82aa9cf4ed5f9",)),
    ),
    Step(2, "trace index", derived.create_trace_index),
    Step(3, "hourly counts of actions", derived.create_actions_hourly),
    Step(4, "look-ups by a trace id as text", collector_view.add_indexes),
    Step(5, "times of ids", derived.create_id_times),
    Step(6, "times of cached results", derived.create_id_times_of_origins),
)
"""Every step ever released, in order; one that was released is never edited."""

_TABLES_ARE_THERE = 1
"""The step after which the registry's columns are added: later ones may read them."""

COLUMNS, VIEWS = "columns", "views"


@dataclass(frozen=True, slots=True)
class Change:
    """Something that a store lacks."""

    version: int
    """0: no step, but what follows the registry or the settings."""
    name: str
    statements: tuple[str, ...]
    checksum: str = ""
    """Empty: the ledger does not note it, for the tables themselves say it."""

    def complete(self, layout: Layout) -> tuple[str, ...]:
        """The statements, and the one that notes that they were run."""
        if not self.checksum:
            return self.statements
        return *self.statements, ledger.note(layout, self.version, self.name, self.checksum)

    @property
    def description(self) -> str:
        return f"step {self.version}: {self.name}" if self.version else self.name


def create_all(layout: Layout, retention: Retention) -> tuple[str, ...]:
    """All that `apply` runs where nothing is: whoever runs it by hand has the same store."""
    changes = _changes(Ledger(), layout, frozenset())
    kept = (statement for table in TABLES for statement in retention.statements(layout, table))
    return (*ledger.create(layout), *(each for change in changes for each in change.complete(layout)), *kept)


def pending(client: Any, layout: Layout, retention: Retention) -> tuple[Change, ...]:
    """What the store lacks, in order; it is only read.

    Raises SchemaError when a step was applied by a version that meant something else by it.
    """
    known = ledger.read(client, layout)
    for step in STEPS:
        if known.steps.get(step.version, step.checksum) not in {step.checksum, *step.former}:
            raise SchemaError(
                f"migration {step.version} of database {layout.database} was applied in another form",
                "use the whodid version that made the store, or a new database: "
                "WHODID_STORE__DATABASE=whodid_new",
            )
    return *_changes(known, layout, _columns(client, layout)), *_retention(client, layout, retention)


def apply(client: Any, layout: Layout, retention: Retention) -> tuple[str, ...]:
    """Creates or upgrades the tables, and says what was done; safe twice, and by two processes at once.

    A store that lacks nothing is only read, so a user without the right to change tables may open it.
    Raises SchemaError.
    """
    done: list[str] = []
    for change in pending(client, layout, retention):
        if not done:
            _run(client, ledger.create(layout))
        _run(client, change.complete(layout))
        done.append(change.description)
    # Tables that were not there a moment ago have no retention yet.
    for change in _retention(client, layout, retention) if done else ():
        _run(client, change.statements)
        done.append(change.description)
    return tuple(done)


def _changes(known: Ledger, layout: Layout, columns: frozenset[str]) -> Generator[Change]:
    """What is lacking of the steps and of what follows the registry; `columns` are those that `spans` has."""
    # A newer version's store: what its registry made is not taken back.
    newer = bool(columns - frozenset(schema.span_columns()) - FORMER)
    for step in STEPS:
        if step.version not in known.steps:
            yield Change(step.version, step.name, step.make(layout), step.checksum)
        if step.version == _TABLES_ARE_THERE:
            missing = frozenset(schema.span_columns()) - columns
            if columns & FORMER and missing & frozenset(SURROUNDINGS):
                yield Change(0, "resources and scopes as texts", surroundings.add_to_maps(layout))
            yield from _generated(known, COLUMNS, schema.add_registry_columns(layout), missing=bool(missing))
    if not newer:
        yield from _generated(known, VIEWS, collector_view.create_views(layout))


def _generated(
    known: Ledger, name: str, statements: tuple[str, ...], *, missing: bool = False
) -> Generator[Change]:
    checksum = _checksum(statements)
    if missing or known.generated.get(name) != checksum:
        yield Change(0, name, statements, checksum)


def _retention(client: Any, layout: Layout, retention: Retention) -> Generator[Change]:
    if statements := retention.pending(client, layout):
        yield Change(0, f"retention: {retention.description}", statements)


def _columns(client: Any, layout: Layout) -> frozenset[str]:
    rows = client.query(
        "SELECT name FROM system.columns WHERE database = {database:String} AND table = 'spans' "
        "AND default_kind != 'ALIAS'",
        parameters={"database": layout.database},
    ).result_rows
    return frozenset(str(name) for (name,) in rows)


def _run(client: Any, statements: Iterable[str]) -> None:
    for statement in statements:
        client.command(statement)


def _checksum(statements: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(statements).encode()).hexdigest()
