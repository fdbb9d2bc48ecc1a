"""The HTTP API: every question at `/api/v1/NAME`, as JSON or CSV. Errors are problems (RFC 9457)."""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from whodid.processor import openapi, posted
from whodid.processor.access.audit import AuditError
from whodid.processor.access.gate import admit
from whodid.processor.access.headers import put
from whodid.processor.access.viewer import ForbiddenError
from whodid.processor.errors import WhodidError
from whodid.store import Limits, QueryTooBroadError, SqlError, StoreUnavailableError, flat
from whodid.store.free_sql import SELECT
from whodid.store.questions import QUESTIONS, AmbiguousIdError, AnyQuestion, CursorError, UnknownIdError
from whodid.store.questions.asking import RESERVED, ParameterError, parse, tenant_name
from whodid.store.questions.question import Listing
from whodid.store.reader import Statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request

    from whodid.processor.settings import ApiSettings
    from whodid.store import Reader, Store

_STATUSES: dict[type[WhodidError], int] = {
    ParameterError: 400,
    CursorError: 400,
    posted.BodyTimeoutError: 408,
    posted.BodyTooLongError: 413,
    posted.MediaTypeError: 415,
    SqlError: 400,
    ForbiddenError: 403,
    UnknownIdError: 404,
    AmbiguousIdError: 409,
    QueryTooBroadError: 422,
    StoreUnavailableError: 503,
    AuditError: 503,
}
_STATEMENTS = TypeAdapter(dict[str, list[Statement]])


def routes(store: Store, settings: ApiSettings) -> list[Route]:
    """The API's routes, answered from `store`."""
    turns = asyncio.Semaphore(settings.max_concurrent_questions)

    async def index(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
        listed = [
            {"name": each.name, "title": each.title, "path": f"/api/v1/{each.name}"}
            for each in QUESTIONS.values()
        ]
        return JSONResponse({"questions": listed, "openapi": "/api/v1/openapi.json"})

    async def described(request: Request) -> Response:  # noqa: ARG001
        return JSONResponse(openapi.document(settings.max_items))

    return [
        Route("/api/v1", index),
        Route("/api/v1/openapi.json", described),
        *(
            Route(
                f"/api/v1/{each.name}",
                _endpoint(store, each, turns, settings),
                methods=["GET", "POST"] if posted.takes(each) else ["GET"],
            )
            for each in (*QUESTIONS.values(), SELECT)
        ),
    ]


def limits(settings: ApiSettings) -> Limits:
    """What a query of a question that is asked here may cost."""
    return Limits(
        max_seconds=settings.max_query_s,
        max_rows_read=settings.max_rows_read,
        max_bytes_read=settings.max_bytes_read,
        max_memory_bytes=settings.max_memory_bytes,
    )


def _endpoint(
    store: Store, question: AnyQuestion, turns: asyncio.Semaphore, settings: ApiSettings
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            given = request.query_params.multi_items()
            common = _common(question, given)
            own = [(name, text) for name, text in given if name not in RESERVED]
            if request.method == "POST":
                own = await posted.parameters(request, question, settings)
            parameters = _within(parse(question, own), settings.max_items)
            tenant = await admit(request, question, parameters, common.get("tenant"))
            reader = store.reader(tenant, limits(settings))
            async with turns:
                answer = await run_in_threadpool(question.ask, reader, parameters)
                return await run_in_threadpool(_written, answer, reader, common)
        except WhodidError as error:
            return refusal(error)

    return endpoint


def _within(parameters: Any, max_items: int) -> Any:
    """The parameters, with no more items on a page than the service gives."""
    limit: int | None = getattr(parameters, "limit", None)
    if limit is None or limit <= max_items:
        return parameters
    if "limit" in parameters.model_fields_set:
        raise ParameterError(
            f"limit: this service tells {max_items} items at the most",
            "ask for pages (setting api.max_items)",
        )
    return parameters.model_copy(update={"limit": max_items})


def _common(question: AnyQuestion, given: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What is said beside the question's own parameters."""
    said: dict[str, str] = {}
    formats = ("json", "csv") if issubclass(question.answer, Listing) else ("json",)
    allowed = {"format": formats, "sql": ("true", "false")}
    for name, text in given:
        if name not in RESERVED:
            continue
        if name in said:
            raise ParameterError(f"{name} is given twice", "once is enough")
        if name in allowed and text not in allowed[name]:
            raise ParameterError(f"{name} has to be {' or '.join(allowed[name])}", "leave it out for JSON")
        if name == "tenant":
            tenant_name(text)
        said[name] = text
    return said


def _written(answer: Any, reader: Reader, common: dict[str, str]) -> Response:
    if common.get("sql") == "true":
        content = _STATEMENTS.dump_json({"statements": reader.statements})
        return Response(content, media_type="application/json")
    if common.get("format") == "csv":
        return _csv(answer)
    return Response(answer.model_dump_json(), media_type="application/json")


def _csv(answer: Listing[Any]) -> Response:
    headers = {"content-disposition": "attachment; filename=whodid.csv", "x-content-type-options": "nosniff"}
    if answer.next_cursor:
        # Cursors are safe in an address, so they are in a header (RFC 8288).
        headers["link"] = f'<?cursor={answer.next_cursor}>; rel="next"'
    text = flat.as_csv([flat.row(item) for item in answer.items])
    return Response(text, headers=headers, media_type="text/csv")


def refusal(error: WhodidError) -> Response:
    """Why a question is not answered."""
    status = next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500)
    more: dict[str, object] = {}
    if isinstance(error, AmbiguousIdError):
        more["candidates"] = [candidate.model_dump() for candidate in error.candidates]
    response = problem(status, error, **more)
    if isinstance(error, posted.BodyTooLongError | posted.BodyTimeoutError):
        response.headers["connection"] = "close"  # what is left of the body is not read
    return response


def problem(status: int, error: WhodidError, **more: object) -> Response:
    """An error as `application/problem+json`, with our hint beside what RFC 9457 defines."""
    kind = re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__.removesuffix("Error")).lower()
    content = {
        "type": f"urn:whodid:problem:{kind}",
        "status": status,
        "title": error.cause,
        "hint": error.hint,
        **more,
    }
    return JSONResponse(content, status_code=status, media_type="application/problem+json")


async def unrouted(request: Request, error: Exception) -> Response:
    """A path or method that is not there, as a problem."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    cause = f"{request.method} {request.url.path[:200]}: {HTTPStatus(status).phrase}"
    response = problem(status, WhodidError(cause, "/api/v1 lists the questions"))
    response.headers.update(headers or {})
    return response


async def bug(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    """What nobody expected; it is in the service's log, and not in the answer."""
    response = problem(500, WhodidError("this is a bug", "the service's log says more"))
    put(response.headers)  # no middleware sees this answer
    return response
