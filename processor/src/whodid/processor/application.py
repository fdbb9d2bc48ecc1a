"""The application on the API's port: questions, pages, sign-in and health, behind one gate."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from whodid.dashboards.pages import app as pages
from whodid.processor import api, health, ports
from whodid.processor.access import sign_in
from whodid.processor.access.headers import SecurityHeaders
from whodid.processor.access.middleware import AccessMiddleware
from whodid.processor.access.wiring import Access

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from whodid.processor.health import Health
    from whodid.processor.settings import Settings
    from whodid.store import Store


def application(
    settings: Settings, store: Store, ask: Callable[[], Awaitable[Health]], access: Access | None = None
) -> Starlette:
    """The API and the pages, with /healthz and /readyz.

    `access`: without it nothing would record who saw content, so that none is shown. Raises WhodidError.
    """
    access = access or Access(settings)
    middleware = [Middleware(SecurityHeaders)]
    if ports.is_loopback(settings.api.host):
        # A page from elsewhere must not read the store through a name that it points at this machine.
        names = ["localhost", "127.0.0.1", "::1", "[::1]", settings.api.host, *_names(settings.access.origin)]
        middleware.append(Middleware(TrustedHostMiddleware, allowed_hosts=names))
    middleware.append(Middleware(AccessMiddleware, access))
    app = Starlette(
        routes=[
            *health.routes(ask),
            *sign_in.routes(access),
            *api.routes(store, settings.api),
            *pages.routes(store, settings, ask),
        ],
        middleware=middleware,
        exception_handlers={HTTPException: pages.lost, Exception: pages.bug},
    )
    app.state.access = access
    return app


def _names(origin: str) -> list[str]:
    """The host's name by which a proxy may pass requests on; none where there is no such proxy."""
    host = urlsplit(origin).hostname
    return [host] if host else []
