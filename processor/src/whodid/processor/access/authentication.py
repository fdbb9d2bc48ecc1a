"""Finds out who asks: by a token, a proxy or a session. On loopback anyone may, until there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whodid.processor import ports
from whodid.processor.access import tokens
from whodid.processor.access.proxy import Proxy
from whodid.processor.access.viewer import Authentication, Role, Viewer
from whodid.processor.errors import WhodidError
from whodid.processor.intake import Warnings

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import HTTPConnection

    from whodid.processor.access.sessions import Session, Sessions
    from whodid.processor.settings import Settings

_BEARER = "bearer "
SECURE_COOKIE = "__Host-whodid"
"""A browser takes it over TLS alone, from this host alone."""
LOOPBACK_COOKIE = "whodid"


class Authenticator:
    """What a request shows, held against tokens, keys and sessions."""

    def __init__(self, settings: Settings, sessions: Sessions, say: Callable[[str], None]) -> None:
        """Raises TokensError."""
        self.tokens = tokens.LiveTokens(tokens.path_of(settings))
        self._settings = settings
        self._sessions = sessions
        self._is_open = ports.is_loopback(settings.api.host)
        self.cookie = SECURE_COOKIE if needs_tls(settings) else LOOPBACK_COOKIE
        unbelieved = Warnings("did not believe who a viewer is said to be", say)
        proxy = settings.access.proxy
        self._proxy = None if proxy.kind == "none" else Proxy(proxy, settings.tenant, unbelieved.warn)
        self._local = Viewer(name="local", tenant=settings.tenant, role=Role.ADMIN, all_tenants=True)

    def is_open(self) -> bool:
        """Whether anyone may look. Raises TokensError."""
        return self._is_open and self._proxy is None and not self.tokens.refreshed()

    async def viewer(self, connection: HTTPConnection) -> Viewer | None:
        """Who asks; None for nobody who is known.

        Raises ForbiddenError for somebody who is known and may not look, TokensError and KeysError.
        """
        given = connection.headers.get("authorization", "")
        if given[: len(_BEARER)].lower() == _BEARER and tokens.is_token(given[len(_BEARER) :].strip()):
            # Whoever shows a token wants to be known by it, and by nothing else that is sent along.
            token = self.tokens.find(given[len(_BEARER) :].strip())
            return token and token.viewer(self._settings.tenant, Authentication.TOKEN)
        if self._proxy is not None and (viewer := await self._proxy.viewer(connection)) is not None:
            return viewer
        if (session := self.session(connection)) is not None:
            token = self.tokens.by_id(session.token_id)
            if token is not None:
                return token.viewer(self._settings.tenant, Authentication.SESSION, session.id)
        return self._local if self.is_open() else None

    def session(self, connection: HTTPConnection) -> Session | None:
        """The session of the request's cookie, whether its token still lives or not."""
        return self._sessions.read(connection.cookies.get(self.cookie, ""))


def needs_tls(settings: Settings) -> bool:
    """Whether a session's cookie may travel over TLS alone: off loopback, and behind a proxy with TLS."""
    if settings.access.origin:
        return settings.access.origin.startswith("https://")
    return not ports.is_loopback(settings.api.host)


def check(settings: Settings) -> None:
    """Raises WhodidError where others could reach the API and nothing would say who may look."""
    if ports.is_loopback(settings.api.host) or settings.access.proxy.kind != "none":
        return
    path = tokens.path_of(settings)
    if tokens.LiveTokens(path).live_count():
        return
    raise WhodidError(
        f"api.host is {settings.api.host}, and nothing says who may look: no proxy is configured, and "
        f"{path} has no token that may still be used",
        "whodid tokens create --name you@example.com --role admin --tenant '*', or a proxy (docs/access.md)",
    )


def described(settings: Settings) -> str:
    """Who may look, in a line for the start. Raises TokensError."""
    found = tokens.LiveTokens(tokens.path_of(settings))
    count = found.live_count()
    how = [f"who has one of {count} tokens"] if found.are_used else []
    if settings.access.proxy.kind != "none":
        how.append(f"whom the header {settings.access.proxy.header} names")
    return ", and ".join(how) or "anyone on this machine (whodid tokens create)"
