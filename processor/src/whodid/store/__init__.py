"""ClickHouse: the schema, the writer and the attribution questions."""

from whodid.store.store import Store, StoreRefusedError, StoreUnavailableError

__all__ = ["Store", "StoreRefusedError", "StoreUnavailableError"]
