"""In front of every path that is not open to all: finds out who asks, or sends away who nobody is."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from whodid.processor.access.viewer import Role, Viewer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from whodid.processor.settings import Settings


class AccessMiddleware:
    """Sets `request.state.viewer`."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._local = Viewer(name="local", tenant=settings.tenant, role=Role.ADMIN, all_tenants=True)
        self._csrf_token = secrets.token_urlsafe()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope.setdefault("state", {}).update(viewer=self._local, csrf_token=self._csrf_token)
        await self._app(scope, receive, send)
