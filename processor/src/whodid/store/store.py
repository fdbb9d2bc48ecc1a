"""The store: opened and migrated, written to batch by batch, asked by the questions."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeVar

from whodid.processor.errors import WhodidError
from whodid.store import cost, migrations
from whodid.store.connection import Location, connect
from whodid.store.cost import Cost
from whodid.store.layout import Layout
from whodid.store.payload import Payload, Stream
from whodid.store.reader import DEFAULT_TENANT, Limits, Reader
from whodid.store.retention import Retention

if TYPE_CHECKING:
    from whodid.processor.stages.seal import Sealed

# ClickHouse's error codes that say the rows themselves are wrong: sending them again cannot help. All others
# are retried, for what is wrong then is the server's state (242 table is read-only, 243 no space, 252 too
# many parts, 241 memory, 202 too many queries, 159 time-out), or what a person may mend (60 unknown table, 81
# unknown database, 516 password, 497 privileges, 164 read-only user). Waiting is the smaller mistake.
_FOR_GOOD = frozenset(
    (
        6,  # CANNOT_PARSE_TEXT
        16,  # NO_SUCH_COLUMN_IN_TABLE
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        43,  # ILLEGAL_TYPE_OF_ARGUMENT
        44,  # ILLEGAL_COLUMN
        47,  # UNKNOWN_IDENTIFIER
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        131,  # TOO_LARGE_STRING_SIZE
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    )
)


# A subquery is asked of the whole cluster once, not by each shard of its own rows. One server ignores it.
_ACROSS_SHARDS = {"distributed_product_mode": "global"}

# A query that went beyond one of the limits it was given.
_TOO_BROAD = {
    158: "rows read",  # TOO_MANY_ROWS
    159: "time",  # TIMEOUT_EXCEEDED
    160: "time",  # TOO_SLOW
    241: "memory",  # MEMORY_LIMIT_EXCEEDED
    307: "bytes read",  # TOO_MANY_BYTES
    396: "rows or bytes",  # TOO_MANY_ROWS_OR_BYTES
}


# What goes wrong at the server, whatever the statement is: its network, its users, its load.
_OF_THE_SERVER = frozenset((194, 202, 209, 210, 216, 242, 279, 439, 516, 1000, 1001, 1002))

_THREADS = 8
"""For those parts of questions that run beside others; beyond them they wait for one another."""

_Answer = TypeVar("_Answer")


class SqlError(WhodidError):
    """The statement is none that may be run, or ClickHouse does not understand it."""


class StoreUnavailableError(WhodidError):
    """The store did not answer, or cannot work now; the same insert may succeed later."""


class StoreRefusedError(WhodidError):
    """The store will never take these rows."""


class QueryTooBroadError(WhodidError):
    """A question would read, take or hold more than its limits allow."""


class Store:
    """A ClickHouse database with whodid's tables. Safe to use from several threads."""

    def __init__(self, location: Location, tenant: str = DEFAULT_TENANT) -> None:
        self._location = location
        self._tenant = tenant
        self._local = threading.local()
        self._clients: list[Any] = []
        self._lock = threading.Lock()
        self._beside = ThreadPoolExecutor(_THREADS, thread_name_prefix="whodid-question")

    @classmethod
    def open(
        cls,
        url: str,
        *,
        database: str = "whodid",
        retention: Retention | None = None,
        layout: Layout | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> Self:
        """Opens the store at `url`, and creates or upgrades its tables.

        `layout`: one ClickHouse, where it is not given. `tenant`: about whose spans questions are asked,
        unless they say.
        Raises StoreUrlError, StoreUnavailableError and SchemaError.
        """
        store = cls(Location.parse(url, database=database), tenant)
        try:
            store.bring_up_to_date(layout or Layout(store.database), retention or Retention())
        except WhodidError:
            store.close()
            raise
        return store

    def bring_up_to_date(self, layout: Layout, retention: Retention) -> tuple[str, ...]:
        """Creates or upgrades the tables, and says what was done.

        Raises StoreUnavailableError and SchemaError.
        """
        with self._translating():
            return migrations.apply(self._client, layout, retention)

    def inspect(self, layout: Layout, retention: Retention) -> tuple[list[str], Cost | None]:
        """What the tables lack, and what they hold; None where there are none. Nothing is changed.

        Raises StoreUnavailableError and SchemaError.
        """
        with self._translating():
            lacking = migrations.pending(self._client, layout, retention)
            there = all(change.version == 0 for change in lacking)
            measured = cost.measure(self._client, layout, retention) if there else None
        return [change.description for change in lacking], measured

    @property
    def database(self) -> str:
        return self._location.database

    @property
    def description(self) -> str:
        """The store in words, without user or password."""
        return self._location.description

    def insert(self, sealed: Sealed, token: str) -> None:
        """Inserts a sealed batch, as `send` does."""
        self.send(Payload.of([sealed]), token)

    def send(self, payload: Payload, token: str) -> None:
        """Inserts a payload; the same one with the same token a second time changes nothing.

        Raises StoreUnavailableError when it may succeed later, StoreRefusedError when it never will.
        """
        self._insert("findings", payload.findings, token)
        self._insert("spans", payload.spans, token)

    def reader(self, tenant: str | None = None, limits: Limits | None = None) -> Reader:
        """What the questions ask: this store, as `tenant` may read it, or its own tenant."""
        return Reader(self, self._tenant if tenant is None else tenant, limits or Limits())

    def select(
        self, text: str, parameters: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The rows of a query with typed parameters (`{name:Type}`). Readers call it; nothing else has to.

        Raises StoreUnavailableError, and QueryTooBroadError when it went beyond a limit in `settings`.
        """
        try:
            result = self._client.query(
                text, parameters=dict(parameters), settings={**_ACROSS_SHARDS, **settings}, tz_mode="aware"
            )
            return list(result.named_results())
        except Exception as error:
            if (limit := _TOO_BROAD.get(getattr(error, "code", None) or 0)) is not None:
                raise QueryTooBroadError(
                    f"the question went beyond its limit of {limit}",
                    "ask for less time with --since and --until, or filter by agent, principal or credential",
                ) from error
            raise _translated(error, self._location) from error

    def meanwhile(self, work: Callable[[], _Answer]) -> Future[_Answer]:
        """What a thread beside the caller's, with a client of its own, makes of some work."""
        return self._beside.submit(work)

    def query(
        self, text: str, parameters: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names and rows of a statement that somebody wrote by hand, in the store's database.

        The embedded store's client writes settings into the statement: without any, it stays as it is.
        Raises SqlError, QueryTooBroadError and StoreUnavailableError.
        """
        try:
            every = {**_ACROSS_SHARDS, **settings} if settings else {}
            result = self._client_in_database.query(
                text, parameters=dict(parameters), settings=every, tz_mode="aware"
            )
            return list(result.column_names), [tuple(row) for row in result.result_rows]
        except Exception as error:
            code = getattr(error, "code", None) or 0
            if code in _TOO_BROAD:
                raise QueryTooBroadError(
                    f"the query went beyond its limit of {_TOO_BROAD[code]}",
                    "read less time, or fewer columns",
                ) from error
            if code and code not in _OF_THE_SERVER:
                raise SqlError(_first_line(error), "docs/store.md says what is in which table") from error
            raise _translated(error, self._location) from error

    def close(self) -> None:
        """Closes every thread's client."""
        self._beside.shutdown(cancel_futures=True)
        with self._lock:
            clients, self._clients = self._clients, []
        for client in clients:
            client.close()

    def _insert(self, table: str, rows: Stream, token: str) -> None:
        if rows.row_count == 0:
            return
        settings = {
            "insert_deduplicate": 1,
            "insert_deduplication_token": token,
            # What failed between the spans and a view's table is filled by the next try.
            "deduplicate_blocks_in_dependent_materialized_views": 1,
            # The processor batches by itself, and has to know when the rows are in, on whichever shard.
            "async_insert": 0,
            "distributed_foreground_insert": 1,
        }
        try:
            self._client.raw_insert(
                f"`{self.database}`.`{table}`", rows.columns, rows.content, settings, "ArrowStream"
            )
        except Exception as error:
            raise _translated(error, self._location) from error

    @contextmanager
    def _translating(self) -> Generator[None]:
        try:
            yield
        except WhodidError:
            raise
        except Exception as error:
            raise _translated(error, self._location) from error

    @property
    def _client(self) -> Any:
        return self._connected("client", in_database=False)

    @property
    def _client_in_database(self) -> Any:
        return self._connected("client_in_database", in_database=True)

    def _connected(self, name: str, *, in_database: bool) -> Any:
        client = getattr(self._local, name, None)
        if client is None:
            client = connect(self._location, in_database=in_database)
            setattr(self._local, name, client)
            with self._lock:
                self._clients.append(client)
        return client


def _first_line(error: Exception) -> str:
    """What ClickHouse says about a statement, without its own address and the statement again."""
    text = str(error).partition("\n")[0]
    return re.sub(r"^.*?DB::Exception: |: (?:In scope|while executing|While processing) .*$", "", text)[:300]


def _translated(error: Exception, location: Location) -> WhodidError:
    """The error in our words; the library's own text may hold a row's values: only its first line is kept."""
    code = getattr(error, "code", None)
    root: BaseException = error
    while (deeper := root.__cause__ or root.__context__) is not None:
        root = deeper
    cause = (getattr(root, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__)[:300]
    if code in _FOR_GOOD:
        return StoreRefusedError(f"{location.description} refused the rows: {cause}", "see the quarantine")
    hint = "check that no other process has the folder open"
    if location.host:
        hint = "check that the server runs, and WHODID_STORE__URL"
    return StoreUnavailableError(f"{location.description} cannot be used: {cause}", hint)
