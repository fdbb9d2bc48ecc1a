"""Where a browser is sent after it has signed in: a path of this service, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from starlette.types import Scope

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
MAX_CHARACTERS = 4_096
HOME = "/"


def safe(text: str) -> str:
    """The text, if it is a path of this service as every browser reads it; otherwise the first page."""
    # Browsers take a backslash for a slash, and leave out tabs and line ends before they look.
    if len(text) > MAX_CHARACTERS or "\\" in text or not text.isascii() or not text.isprintable():
        return HOME
    if not text.startswith("/") or text.startswith("//"):
        return HOME
    try:
        parts = urlsplit(text)
    except ValueError:
        return HOME
    if parts.scheme or parts.netloc or parts.path in (SIGN_IN, SIGN_OUT):
        return HOME
    return text


def asked(scope: Scope) -> str:
    """The path and query that a request asked for, as they came."""
    path = scope.get("raw_path", b"").partition(b"?")[0].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    return safe(f"{path}?{query}" if query else path)


def sign_in_for(target: str) -> str:
    """The address of the sign-in page that leads on to `target`."""
    return SIGN_IN if target == HOME else f"{SIGN_IN}?next={quote(target, safe='/')}"
