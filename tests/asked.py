"""A store with an agent's action in it, as the API and the command line are asked about it in tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from tests.spans import Sent, attribution, request
from whodid.processor import pipeline, settings
from whodid.processor.access.wiring import Access
from whodid.processor.application import application
from whodid.processor.health import Health
from whodid.store import Store

HOSTILE = "=cmd|'/c calc'!A1\x1b[2J\u202e<script>"
"""What would calculate in a spreadsheet, steer a terminal, turn the writing round and run in a browser."""


def fill(store: Store) -> None:
    """Two uses of a credential by one agent, one of them with a hostile tool, and the agent's own span."""
    agent = Sent(name="invoke_agent", attributes=attribution("invoke_agent"))
    uses = [
        Sent(
            name="execute_tool",
            attributes=attribution(
                "execute_tool",
                ATTRIBUTION_ACTION_ID=f"action-{number}",
                GEN_AI_TOOL_CALL_ID=f"call-{number}",
                GEN_AI_TOOL_NAME=tool,
                ATTRIBUTION_CREDENTIAL_ID="key-1",
                ATTRIBUTION_CORRELATION_ID="req-1",
            ),
            trace_id=agent.trace_id,
            parent_id=agent.span_id,
        )
        for number, tool in enumerate(("lookup_order", HOSTILE), start=1)
    ]
    store.insert(pipeline.run([request(agent, *uses)]), "filled")


def in_folder(folder: Path) -> Path:
    """A data folder with a store in it that `fill` has filled, and no service."""
    store = Store.open(f"chdb://{folder / 'store'}")
    fill(store)
    store.close()
    return folder


def app(store: Store, tmp_path: Path, **api: Any) -> Starlette:
    """The API as the service serves it, with settings of the section `api`."""

    async def ask() -> Health:
        raise NotImplementedError

    async def accept(_body: bytes) -> None:
        """Views of content are on record, as far as these tests mind."""

    health: Callable[[], Awaitable[Health]] = ask
    overrides: dict[str, Any] = {"data_dir": tmp_path, "api": api}
    loaded = settings.load(overrides)
    return application(loaded, store, health, Access(loaded, accept))
