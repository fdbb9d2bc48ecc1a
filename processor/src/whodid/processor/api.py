"""The HTTP API: the attribution questions as JSON. Errors are problems (RFC 9457)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from whodid.processor.errors import WhodidError
from whodid.store import StoreUnavailableError
from whodid.store.questions import QUESTIONS, AmbiguousIdError, AnyQuestion, UnknownIdError

if TYPE_CHECKING:
    from starlette.requests import Request

    from whodid.store import Store


def routes(store: Store) -> list[Route]:
    """The API's routes, answered from `store`."""

    async def who(request: Request) -> Response:
        return await _answer(store, QUESTIONS["who"], {"id": request.path_params["id"]})

    async def trace(request: Request) -> Response:
        return await _answer(store, QUESTIONS["trace"], {"trace_id": request.path_params["id"]})

    return [
        # An id may be anything that a framework calls a tool call, slashes included.
        Route("/api/v1/who/{id:path}", who),
        Route("/api/v1/traces/{id:path}", trace),
    ]


async def _answer(store: Store, question: AnyQuestion, given: dict[str, str]) -> Response:
    try:
        parameters = question.parameters.model_validate(given)
        record = await run_in_threadpool(question.ask, store.reader(), parameters)
    except ValidationError as error:
        return problem(400, WhodidError(str(error.errors()[0]["msg"]), "see docs/cli.md"))
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
