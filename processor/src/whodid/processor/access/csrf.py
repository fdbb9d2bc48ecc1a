"""Cross-site request forgery: a token in each form, and what the browser says of where a request is from."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from whodid.processor.access.viewer import ForbiddenError

if TYPE_CHECKING:
    from starlette.requests import Request

FIELD = "csrf_token"
"""The form's hidden field."""
HEADER = "x-csrf-token"
"""The same for a request that is no form."""
_HINT = "open the page again and repeat what you did there"


def csrf_token(request: Request) -> str:
    """What a page's form sends back in the field `csrf_token`: bound to the viewer's session."""
    return str(request.scope["state"]["csrf_token"])


def check_csrf(request: Request, given: str) -> None:
    """To be called before a write. `given`: the form's field, or the header. Raises ForbiddenError."""
    check_origin(request)
    if not hmac.compare_digest(given.encode(), csrf_token(request).encode()):
        raise ForbiddenError("the request does not come from a page of this session", _HINT)


def check_origin(request: Request) -> None:
    """Raises ForbiddenError where the browser says that another site sent the request."""
    site = request.headers.get("sec-fetch-site", "none")
    origin = request.headers.get("origin")
    if site not in ("same-origin", "none") or (
        origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    ):
        raise ForbiddenError("the request comes from another site", _HINT)
