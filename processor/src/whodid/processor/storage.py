"""Which store the settings name: one to open, or none where spans are only forwarded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from whodid.processor.settings import NO_STORE
from whodid.store import Store, StoreUnavailableError
from whodid.store.connection import Location
from whodid.store.layout import Layout
from whodid.store.retention import Retention

if TYPE_CHECKING:
    from whodid.processor.settings import Settings
    from whodid.store.payload import Payload


class NoStore(Store):
    """Stands where a store would: it keeps nothing, and says so to whoever asks."""

    def __init__(self) -> None:
        super().__init__(Location(database=""))

    @property
    def description(self) -> str:
        return "none, spans are only forwarded"

    def send(self, payload: Payload, token: str) -> None:  # noqa: ARG002
        raise StoreUnavailableError("there is no store", "set WHODID_STORE__URL")

    def select(
        self,
        text: str,  # noqa: ARG002
        parameters: Mapping[str, Any],  # noqa: ARG002
        settings: Mapping[str, Any],  # noqa: ARG002
    ) -> list[dict[str, Any]]:
        raise StoreUnavailableError("this service keeps no spans", "ask where it forwards them to")

    def query(
        self,
        text: str,
        parameters: Mapping[str, Any],
        settings: Mapping[str, Any],
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        self.select(text, parameters, settings)
        return [], []


def opened(settings: Settings) -> Store:
    """The store, its tables brought up to date. Raises what `Store.open` raises."""
    if settings.store_url == NO_STORE:
        return NoStore()
    return Store.open(
        settings.store_url,
        database=settings.store.database,
        retention=retention(settings),
        layout=layout(settings),
        tenant=settings.tenant,
    )


def unopened(settings: Settings) -> Store:
    """The store as `opened` left it in another process; nothing is connected to yet."""
    if settings.store_url == NO_STORE:
        return NoStore()
    return Store(_location(settings), settings.tenant)


def layout(settings: Settings) -> Layout:
    """How the store's tables lie."""
    store = settings.store
    return Layout(_location(settings).database, store.cluster, keeper=store.replicated)


def retention(settings: Settings) -> Retention:
    """How long which tenant's rows are kept."""
    return Retention(settings.store.retention_days, settings.store.retention_days_by_tenant)


def _location(settings: Settings) -> Location:
    return Location.parse(settings.store_url, database=settings.store.database)
