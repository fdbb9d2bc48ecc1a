"""A store as one tenant reads it: every query is bound to the tenant, limited, and kept to be shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from whodid.store.query_texts import query_text

_First = TypeVar("_First")
_Second = TypeVar("_Second")
_Answer = TypeVar("_Answer")

DEFAULT_TENANT = ""
"""The tenant of spans that were received without one."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query of a question may cost; beyond it, it is refused with what to narrow."""

    max_seconds: float = 30
    max_rows_read: int = 2_000_000_000
    max_bytes_read: int = 256 << 30
    max_memory_bytes: int = 2 << 30

    def as_settings(self) -> dict[str, Any]:
        """ClickHouse's settings for them."""
        return {
            "max_execution_time": self.max_seconds,
            "max_rows_to_read": self.max_rows_read,
            "max_bytes_to_read": self.max_bytes_read,
            "max_memory_usage": self.max_memory_bytes,
        }


class Asked(Protocol):
    """What answers the queries: the store."""

    @property
    def database(self) -> str:
        """Where the tables are."""
        ...

    def select(
        self, text: str, parameters: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """The rows of a query with typed parameters (`{name:Type}`)."""
        ...

    def meanwhile(self, work: Callable[[], _Answer]) -> Future[_Answer]:
        """What another thread of the store's makes of some work."""
        ...

    def query(
        self, text: str, parameters: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """The names and rows of a statement that somebody wrote by hand."""
        ...


@dataclass(frozen=True, slots=True)
class Statement:
    """A query as it was run."""

    query: str
    """The name of its file in `sql/`, without the ending."""
    text: str
    parameters: dict[str, Any]


@dataclass(slots=True)
class Reader:
    """Runs the queries in `sql/` for one tenant. The questions know nothing else of the store.

    Not for several threads at once: it belongs to one question that is being asked.
    """

    store: Asked
    tenant: str = DEFAULT_TENANT
    limits: Limits = Limits()
    statements: list[Statement] = field(default_factory=list[Statement])
    """What was run so far, in order."""
    alone: bool = True
    """False in what runs beside something else, which takes no further thread."""

    def rows(self, query: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The rows of one of the queries in `sql/`, with typed parameters (`{name:Type}`).

        Raises StoreUnavailableError, and QueryTooBroadError when it would cost more than the limits.
        """
        bound = {**parameters, "tenant": self.tenant}
        text = query_text(query, self.store.database, bound)
        self.statements.append(Statement(query, text, bound))
        return self.store.select(text, bound, self.limits.as_settings())

    def both(
        self, first: Callable[[Reader], _First], second: Callable[[Reader], _Second]
    ) -> tuple[_First, _Second]:
        """Two parts of a question of which neither needs the other's rows, at the same time.

        Each with a reader of its own; the statements are in the order in which they are written here.
        Raises what one of them raises, the first one's first.
        """
        if not self.alone:
            return first(self), second(self)
        readers = [Reader(self.store, self.tenant, self.limits, alone=False) for _ in range(2)]
        beside = self.store.meanwhile(lambda: second(readers[1]))
        try:
            answer = first(readers[0])
        finally:
            wait([beside])  # an error is not told while something of the question still runs
            self.statements += [statement for reader in readers for statement in reader.statements]
        return answer, beside.result()
