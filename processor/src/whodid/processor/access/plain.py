"""The few pages that have to work before anything else is shown: signing in, being refused, going on."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from whodid.processor.errors import WhodidError

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{head}<title>{title} · whodid</title>
<link rel="stylesheet" href="/static/whodid.css">
</head>
<body class="plain">
<main class="plain-main">
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
_SIGN_IN = """{problem}<form method="post" action="/sign-in">
<input type="hidden" name="next" value="{next}">
<p><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="off" required autofocus
 aria-describedby="about-token"></p>
<p id="about-token">An admin makes one with <code>whodid tokens create</code>; it begins with
<code>whodid_</code>.</p>
<p><button type="submit">Sign in</button></p>
</form>"""


def is_page(connection: HTTPConnection) -> bool:
    """Whether a person in a browser asks for a page, and not a program for data."""
    path = connection.url.path
    return "text/html" in connection.headers.get("accept", "") and not path.startswith("/api/")


def sign_in(target: str, status: int = 200, problem: WhodidError | None = None) -> HTMLResponse:
    """The form; `problem` says why the last try did not do."""
    said = ""
    if problem is not None:
        said = f'<p class="problem" role="alert">{_text(problem.cause)}. {_text(problem.hint)}.</p>\n'
    return _page("Sign in", _SIGN_IN.format(problem=said, next=_text(target)), status)


def refused(error: WhodidError, status: int) -> HTMLResponse:
    """Why there is nothing to see."""
    hint = f"<p>{_text(error.hint)}</p>" if error.hint else ""
    return _page("Not shown", f'<p class="problem" role="alert">{_text(error.cause)}</p>\n{hint}', status)


def going_on(target: str) -> HTMLResponse:
    """Asks for the same page once more, from this site: then the browser sends the session along."""
    head = f'<meta http-equiv="refresh" content="0;url={_text(target)}">\n'
    return _page("One moment", f'<p><a href="{_text(target)}">Go on</a></p>', 200, head)


def _page(title: str, body: str, status: int, head: str = "") -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=_text(title), body=body, head=head), status)


def _text(text: str) -> str:
    return html.escape(text, quote=True)
