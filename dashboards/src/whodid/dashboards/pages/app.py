"""The pages' routes: each page whole, one panel of it for htmx, and the SQL behind a question."""

from __future__ import annotations

import asyncio
import functools
import os
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from whodid.dashboards.pages import live
from whodid.dashboards.pages.asked import Asked
from whodid.dashboards.pages.asking import Asker
from whodid.dashboards.pages.catalogue import PAGES
from whodid.dashboards.pages.links import Links
from whodid.dashboards.pages.look import OF_A_PANEL, Look
from whodid.dashboards.pages.page import Page, Panel
from whodid.dashboards.pages.rendering import STATIC, render
from whodid.processor import api
from whodid.processor.access import csrf, forms
from whodid.processor.access.viewer import ForbiddenError, viewer_of
from whodid.processor.errors import WhodidError
from whodid.store.questions import QUESTIONS
from whodid.store.questions.asking import RESERVED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import Scope

    from whodid.processor.health import Health
    from whodid.processor.settings import Settings
    from whodid.store import Store

_KEPT_S = 365 * 24 * 3600
_BUG = WhodidError("this is a bug", "the service's log says more")
_LOST = WhodidError("there is no such page", "the menu has all pages; the search takes any id")


def routes(store: Store, settings: Settings, ask: Callable[[], Awaitable[Health]]) -> list[BaseRoute]:
    """Every page, answered from `store`. `ask` tells how many spans are stored, for live updates."""
    asker = Asker(store, settings, asyncio.Semaphore(settings.api.max_concurrent_questions))
    return [
        *(
            Route(page.path, _endpoint(asker, page), methods=["GET", "POST"] if page.takes_form else ["GET"])
            for page in PAGES
        ),
        Route("/questions/{name}/sql", _statements(asker)),
        Route("/events", live.endpoint(ask)),
        Mount("/static", _Static(directory=STATIC)),
    ]


def is_for_people(request: Request) -> bool:
    """Whether a browser asks, and not a program for the API."""
    path = request.url.path
    return "text/html" in request.headers.get("accept", "") and not path.startswith(("/api/", "/static/"))


def refused(request: Request, status: int, error: WhodidError) -> Response:
    """Why a page is not there, as a page."""
    return _html("refused.html", _frame(request, "Not here") | {"error": error}, status)


async def lost(request: Request, error: Exception) -> Response:
    """A path that is not there: a page for people, a problem for programs."""
    if not is_for_people(request):
        return await api.unrouted(request, error)
    return refused(request, error.status_code if isinstance(error, HTTPException) else 500, _LOST)


async def bug(request: Request, error: Exception) -> Response:
    """What nobody expected; it is in the service's log, and not in the answer."""
    return refused(request, 500, _BUG) if is_for_people(request) else await api.bug(request, error)


class _Static(StaticFiles):
    """Our own files. What is asked for with its digest (`static_url`) never changes, and is kept."""

    def file_response(
        self, full_path: Any, stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        kept = (
            f"public, max-age={_KEPT_S}, immutable" if scope["query_string"].startswith(b"v=") else "no-cache"
        )
        response.headers["cache-control"] = kept
        return response


def _endpoint(asker: Asker, page: Page) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        links = Links(request.query_params.get("tenant"))
        try:
            look = Look(request, links, await _posted(asker, request))
        except WhodidError as error:
            return refused(request, 403 if isinstance(error, ForbiddenError) else 400, error)
        wanted = request.query_params.get("panel") if "hx-request" in request.headers else None
        if wanted is not None:
            panel = next((each for each in page.panels if each.name == wanted), None)
            if panel is None:
                return refused(request, 404, _LOST)
            return await _one(asker, look, page, panel)
        return await _whole(asker, look, page)

    return endpoint


async def _posted(asker: Asker, request: Request) -> dict[str, str]:
    """The fields of the form that is posted, if one is. Raises FormError, and ForbiddenError."""
    if request.method != "POST":
        return {}
    fields = await forms.form(request, asker.settings.api.max_body_bytes)
    csrf.check_csrf(request, fields.pop(csrf.FIELD, ""))
    return fields


async def _whole(asker: Asker, look: Look, page: Page) -> Response:
    given = look.request.query_params.multi_items()
    # A form sends its empty fields along; a link to be passed on has none. The empty name is a tenant's.
    if look.request.method == "GET" and any(not text and name != "tenant" for name, text in given):
        return RedirectResponse(look.links.to(look.request.url.path, look.here), 303)
    before = {}
    if page.before is not None:
        before = await page.before(look, functools.partial(asker.ask, look.request))
        if isinstance(before, str):
            return RedirectResponse(before, 303)
    # Without JavaScript nothing comes later: `?all=1`, which the page then offers, asks everything at once.
    now = [panel for panel in page.panels if not panel.lazy or look.get("all")]
    asked = await asker.panels(look, now)
    context = _frame(look.request, page.title(look)) | _of_page(look, page) | page.more(look) | before
    # A page about one thing is not there where the thing is not; one of many panels says so in its place.
    first = next((each for each in asked.values() if each is not None), None)
    status = _status(first) if len(page.panels) == 1 or "{" in page.path else 200
    # Nor is there more to ask about what is not there, or may be one of several.
    panels = now if status in (404, 409) else page.panels
    return _html(
        page.template, context | {"asked": asked, "panels": panels, "endpoint": asker.endpoint}, status
    )


async def _one(asker: Asker, look: Look, page: Page, panel: Panel) -> Response:
    asked = await asker.panels(look, [panel])
    one = asked[panel.name]
    if one is not None and look.get("seen") == one.digest:
        return Response(status_code=204)  # what the reader holds, folds or reads aloud stays as it is
    context = _frame(look.request, page.title(look)) | _of_page(look, page) | page.more(look)
    return _html("fragment.html", context | {"asked": asked, "panel": panel})


def _status(asked: Asked | None) -> int:
    return api.refusal(asked.error).status_code if asked is not None and asked.error is not None else 200


def _statements(asker: Asker) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        question = QUESTIONS.get(request.path_params["name"])
        if question is None:
            return refused(request, 404, _LOST)
        given = [(name, text) for name, text in request.query_params.multi_items() if name not in RESERVED]
        asked = await asker.ask(request, question, given)
        context = _frame(request, f"The query behind {question.name}")
        return _html("statements.html", context | {"asked": asked}, _status(asked))

    return endpoint


def _frame(request: Request, title: str) -> dict[str, Any]:
    """What every page has around it."""
    return {
        "title": title,
        "links": Links(request.query_params.get("tenant")),
        "menu": [page for page in PAGES if page.in_menu],
        "path": request.url.path,
        "viewer": viewer_of(request),
        "page": None,
        "csrf_field": csrf.FIELD,
        "csrf_token": csrf.csrf_token(request),
    }


def _of_page(look: Look, page: Page) -> dict[str, Any]:
    request = look.request
    here = [(name, text) for name, text in request.query_params.multi_items() if name not in OF_A_PANEL]
    chosen = look.get("since") or ("" if look.get("until") else page.since(look))

    def with_(**changes: str) -> str:
        """This page's address with some parameters changed; an empty text takes one away."""
        names = {name.replace("__", "."): text for name, text in changes.items()}
        kept = [(name, text) for name, text in here if name not in names]
        return look.links.to(request.url.path, [*kept, *((n, t) for n, t in names.items() if t)])

    return {
        "page": page,
        "look": look,
        "with_": with_,
        "since": chosen,
        "until": look.get("until"),
    }


def _html(template: str, context: Mapping[str, Any], status: int = 200) -> Response:
    # A page and its fragments have one address.
    return HTMLResponse(render(template, context), status, {"vary": "HX-Request"})
