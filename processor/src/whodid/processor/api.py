"""The HTTP API: the attribution questions as JSON. Errors are problems (RFC 9457)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from whodid.processor.errors import WhodidError
from whodid.store import StoreUnavailableError, questions
from whodid.store.questions import AmbiguousIdError, UnknownIdError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from starlette.requests import Request

    from whodid.store import Store

MAX_ID_CHARACTERS = 1024


def routes(store: Store) -> list[Route]:
    """The API's routes, answered from `store`."""

    async def who(request: Request) -> Response:
        return await _answer(lambda: questions.who(store, request.path_params["id"][:MAX_ID_CHARACTERS]))

    async def trace(request: Request) -> Response:
        return await _answer(lambda: questions.trace(store, request.path_params["id"][:MAX_ID_CHARACTERS]))

    return [
        # An id may be anything that a framework calls a tool call, slashes included.
        Route("/api/v1/who/{id:path}", who),
        Route("/api/v1/traces/{id:path}", trace),
    ]


async def _answer(ask: Callable[[], BaseModel]) -> Response:
    try:
        record = await run_in_threadpool(ask)
    except UnknownIdError as error:
        return problem(404, error)
    except AmbiguousIdError as error:
        candidates = [candidate.model_dump() for candidate in error.candidates]
        return problem(409, error, candidates=candidates)
    except StoreUnavailableError as error:
        return problem(503, error)
    return Response(record.model_dump_json(), media_type="application/json")


def problem(status: int, error: WhodidError, **more: object) -> Response:
    """An error as `application/problem+json`, with our hint beside what RFC 9457 defines."""
    content = {"status": status, "title": error.cause, "hint": error.hint, **more}
    return JSONResponse(content, status_code=status, media_type="application/problem+json")
