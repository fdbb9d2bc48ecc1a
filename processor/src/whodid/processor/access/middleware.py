"""In front of every path that is not open to all: finds out who asks, or sends away whom nobody knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response

from whodid.processor import api
from whodid.processor.access import csrf, plain, targets, tokens
from whodid.processor.access.keys import KeysError
from whodid.processor.access.viewer import ForbiddenError
from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from whodid.processor.access.wiring import Access

_READING = frozenset(("GET", "HEAD"))
OPEN_PATHS = {"/healthz": _READING, "/readyz": _READING, targets.SIGN_IN: _READING | {"POST"}}
OPEN_FOLDER = "/static/"


class TokenInAddressError(WhodidError):
    """A token is in the address, which others write down (400)."""


class UnknownViewerError(WhodidError):
    """Nobody who is known asks (401)."""


class AccessMiddleware:
    """Sets `request.state.viewer`, or answers in the application's place."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # nothing else is served
            return
        connection = HTTPConnection(scope)
        try:
            refusal = await self._refusal(connection)
        except ForbiddenError as error:
            refusal = _told(connection, error, 403)
        except TokenInAddressError as error:
            refusal = _told(connection, error, 400)
        except (tokens.TokensError, KeysError) as error:
            refusal = _told(connection, error, 503)
        await (self._app if refusal is None else refusal)(scope, receive, send)

    async def _refusal(self, connection: HTTPConnection) -> Response | None:
        """The answer in the application's place; None where it may answer. Raises WhodidError."""
        if tokens.has_token(connection.scope["query_string"].decode("latin-1")):
            raise TokenInAddressError(
                "a token is in the address, which servers and browsers write down",
                "revoke it (whodid tokens revoke); send a token in the header Authorization: Bearer",
            )
        method: str = connection.scope["method"]
        if method not in csrf.SAFE_METHODS:
            csrf.check_origin(connection, self._access.settings.origin)
        path: str = connection.scope["path"]
        if method in OPEN_PATHS.get(path, ()) or (path.startswith(OPEN_FOLDER) and method in _READING):
            return None
        csrf.check_embedding(connection)
        viewer = await self._access.authenticator.viewer(connection)
        if viewer is None:
            return _unknown(connection)
        state = connection.scope.setdefault("state", {})
        state.update(viewer=viewer, csrf_token=self._access.csrf_token(viewer))
        return None


def _unknown(connection: HTTPConnection) -> Response:
    target = targets.asked(connection.scope)
    reads = connection.scope["method"] in csrf.SAFE_METHODS
    if plain.is_page(connection) and connection.headers.get("hx-request") != "true":
        # After a click in a mail the browser keeps the session's cookie back. From here it sends it.
        if reads and connection.headers.get("sec-fetch-site") == "cross-site":
            return plain.going_on(target)
        return RedirectResponse(targets.sign_in_for(target if reads else targets.HOME), 303)
    answer = api.problem(
        401,
        UnknownViewerError(
            "nobody who is known asks",
            "send a token in the header Authorization: Bearer (WHODID_ACCESS__TOKEN for the command line)",
        ),
    )
    answer.headers["www-authenticate"] = 'Bearer realm="whodid"'
    if "authorization" in connection.headers:
        answer.headers["www-authenticate"] += ', error="invalid_token"'
    if connection.headers.get("hx-request") == "true":  # a part of a page cannot be the sign-in page
        answer.headers["hx-redirect"] = targets.SIGN_IN
    return answer


def _told(connection: HTTPConnection, error: WhodidError, status: int) -> Response:
    return plain.refused(error, status) if plain.is_page(connection) else api.problem(status, error)
