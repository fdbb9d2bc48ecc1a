"""Cross-site request forgery: a token in each form, and what the browser says of where a request is from."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from whodid.processor.access.viewer import Authentication, ForbiddenError, Viewer, viewer_of

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request

FIELD = "csrf_token"
"""The form's hidden field."""
HEADER = "x-csrf-token"
"""The same for a request that is no form."""
SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
_HINT = "open the page again and repeat there what you did"


def token_of(key: bytes, viewer: Viewer) -> str:
    """The token of a viewer's session, or of a viewer who has none. It is not kept anywhere."""
    whose = "\0".join((viewer.authentication, viewer.session_id, viewer.name))
    return hmac.digest(key, whose.encode(), "sha256").hex()


def csrf_token(request: HTTPConnection) -> str:
    """What a page's form sends back in the field `csrf_token`: bound to the viewer's session."""
    return str(request.scope["state"]["csrf_token"])


def check_csrf(request: Request, given: str) -> None:
    """To be called before a write. `given`: the form's field, or the header. Raises ForbiddenError.

    Where the request comes from was asked before: the middleware does it for every write.
    """
    if viewer_of(request).authentication is Authentication.TOKEN:
        return  # a browser sends no such header by itself
    if not hmac.compare_digest(given.encode(), csrf_token(request).encode()):
        raise ForbiddenError("the request does not come from a page of this session", _HINT)


def check_origin(request: HTTPConnection, origin: str = "") -> None:
    """Raises ForbiddenError where the browser says that another site sent the request.

    `origin`: how browsers reach the service through a proxy (`access.origin`), beside its own name.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        # A same site is another application in the same domain: no reason to trust it.
        if site in ("same-origin", "none"):
            return
        raise ForbiddenError(f"the request comes from another site ({site[:20]})", _HINT)
    said = request.headers.get("origin")
    if said is None:  # no browser, or one that lacks both: the token in the form is left
        return
    if said != origin and _host(said) != request.headers.get("host", ""):
        raise ForbiddenError("the request comes from another site", _HINT)


def _host(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def check_embedding(request: HTTPConnection) -> None:
    """Raises ForbiddenError for what another site's page would load, even if it could not read it."""
    site = request.headers.get("sec-fetch-site", "none")
    if site in ("cross-site", "same-site") and request.headers.get("sec-fetch-mode") != "navigate":
        raise ForbiddenError("the request comes from another site's page", _HINT)
