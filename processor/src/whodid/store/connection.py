"""Where the store is, and how to get a client for it: one library for embedded (chDB) and server."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from whodid.processor.errors import WhodidError

CONNECT_TIMEOUT_S = 5
QUERY_TIMEOUT_S = 60


class StoreUrlError(WhodidError):
    """The store's URL makes no sense."""


@dataclass(frozen=True, slots=True)
class Location:
    """A store's URL, read."""

    database: str
    path: str = ""
    """The folder of an embedded store; empty for a server."""
    host: str = ""
    port: int = 0
    secure: bool = False
    username: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str, *, database: str = "whodid") -> Location:
        """Reads `chdb:///path` or `clickhouse://user:password@host:port/database`; `clickhouses` is TLS.

        Raises StoreUrlError, whose message never repeats a password.
        """
        hint = "write clickhouse://user:password@host:8123/whodid, or chdb:///a/folder for an embedded store"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise StoreUrlError(f"the store's URL cannot be read: {error}", hint) from None
        if parts.scheme == "chdb":
            if not parts.path:
                raise StoreUrlError("the embedded store's URL names no folder", hint)
            return cls(_checked(database), path=unquote(parts.path))
        if parts.scheme not in ("clickhouse", "clickhouses") or not parts.hostname:
            raise StoreUrlError(f"the store's URL has to name a host (its scheme is {parts.scheme!r})", hint)
        secure = parts.scheme == "clickhouses"
        return cls(
            _checked(unquote(parts.path.strip("/")) or database),
            host=parts.hostname,
            port=port or (8443 if secure else 8123),
            secure=secure,
            username=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
        )

    @property
    def description(self) -> str:
        """The store in words, without user or password."""
        if self.path:
            return f"embedded ClickHouse in {self.path}"
        return f"ClickHouse at {self.host}:{self.port}, database {self.database}"


def connect(location: Location, *, in_database: bool = False) -> Any:
    """A client of its own for the calling thread: one handle shared by threads would take turns.

    `in_database`: tables without a database's name are those of the location's, which has to be there.
    Raises whatever clickhouse-connect raises when there is no store.
    """
    import clickhouse_connect  # heavy, and only who opens a store needs it

    library: Any = clickhouse_connect  # its keyword arguments have no types

    database = {"database": location.database} if in_database else {}
    if location.path:
        return library.get_client(interface="chdb", path=location.path, **database)
    return library.get_client(
        host=location.host,
        port=location.port,
        username=location.username,
        password=location.password,
        secure=location.secure,
        connect_timeout=CONNECT_TIMEOUT_S,
        send_receive_timeout=QUERY_TIMEOUT_S,
        # A session would make the server run one thread's queries one after the other.
        autogenerate_session_id=False,
        **database,
    )


def _checked(database: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", database):
        raise StoreUrlError(
            f"{database!r} is no name for a database", "use letters, digits and underscores, a letter first"
        )
    return database
