"""ClickHouse: the schema, the writer and the attribution questions."""

from whodid.store.reader import Limits, Reader
from whodid.store.store import QueryTooBroadError, SqlError, Store, StoreRefusedError, StoreUnavailableError

__all__ = [
    "Limits",
    "QueryTooBroadError",
    "Reader",
    "SqlError",
    "Store",
    "StoreRefusedError",
    "StoreUnavailableError",
]
