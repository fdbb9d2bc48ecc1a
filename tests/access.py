"""A service with tokens in front of a store with two tenants' spans, for tests of who may look."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from tests.spans import Sent, attribution, request
from whodid.processor import pipeline, settings
from whodid.processor.access import tokens
from whodid.processor.access.viewer import Kind, Role
from whodid.processor.access.wiring import Access
from whodid.processor.application import application
from whodid.processor.health import Health
from whodid.store import Store

TENANTS = ("acme", "umbrella")
HTML = {"accept": "text/html,application/xhtml+xml"}


def fill(store: Store) -> None:
    """The same action id in each tenant, for another user."""
    for tenant in TENANTS:
        span = Sent(attributes=attribution("execute_tool", user=f"alice@{tenant}.example"))
        store.insert(pipeline.run([request(span)], tenant=tenant), tenant)


def token(
    data_dir: Path,
    name: str = "alice@acme.example",
    role: Role = Role.VIEWER,
    tenant: str = "acme",
    *,
    lives: datetime.timedelta = datetime.timedelta(days=1),
    made: datetime.datetime | None = None,
    kind: Kind = Kind.HUMAN,
) -> str:
    """The text of a token that the data folder's file knows."""
    made_token, text = tokens.new(name=name, kind=kind, role=role, tenant=tenant, lives=lives, now=made)
    with tokens.changing(data_dir / tokens.FILE) as kept:
        kept.append(made_token)
    return text


def id_of(text: str) -> str:
    return text.split("_")[1]


def revoke(data_dir: Path, text: str) -> None:
    with tokens.changing(data_dir / tokens.FILE) as kept:
        for number, each in enumerate(kept):
            if each.id == id_of(text):
                kept[number] = each.model_copy(update={"revoked_at": datetime.datetime.now(datetime.UTC)})


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


class Front:
    """The application with what it sent to be recorded and said."""

    def __init__(
        self,
        store: Store,
        data_dir: Path,
        access: Mapping[str, Any] | None = None,
        *,
        host: str = "127.0.0.1",
        records_views: bool = True,
    ) -> None:
        self.recorded: list[bytes] = []
        self.said: list[str] = []
        overrides = {
            "data_dir": data_dir,
            "tenant": "acme",
            "access": dict(access or {}),
            "api": {"host": host},
        }
        self.settings = settings.load(overrides)
        accept = self._accept if records_views else None
        self.app = _application(self.settings, store, Access(self.settings, accept, self.said.append))

    async def _accept(self, body: bytes) -> None:
        self.recorded.append(body)

    def client(self, peer: str = "127.0.0.1", base_url: str = "http://localhost") -> TestClient:
        """A browser or a program, which connects from `peer`, and follows no redirect by itself."""
        return TestClient(
            self.app,
            base_url=base_url,
            raise_server_exceptions=False,
            follow_redirects=False,
            client=(peer, 50_000),
        )


def _application(loaded: settings.Settings, store: Store, access: Access) -> Starlette:
    async def ask() -> Health:
        return Health()

    return application(loaded, store, ask, access)
