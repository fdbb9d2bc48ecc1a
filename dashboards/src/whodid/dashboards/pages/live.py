"""Live updates: one event whenever new spans were stored (server-sent events, HTML 9.2)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, Response, StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request

    from whodid.processor.health import Health

MAX_STREAMS = 50
"""Browsers that wait for events at once; each holds a connection."""
_LOOK_AGAIN_S = 1.0
_SILENCE_S = 15
"""After so long without news a comment is sent, so that nobody on the way takes the line for dead."""
_LONGEST_S = 900
"""Then the browser connects again, with whatever access it has by then."""


def endpoint(ask: Callable[[], Awaitable[Health]]) -> Callable[[Request], Awaitable[Response]]:
    """`/events`: `event: stored` with the number of spans that this service has stored."""
    open_streams = 0

    async def events(request: Request) -> Response:
        nonlocal open_streams
        if open_streams >= MAX_STREAMS:
            return PlainTextResponse("too many live pages\n", 503, {"retry-after": "30"})

        async def stream() -> AsyncIterator[str]:
            nonlocal open_streams
            open_streams += 1
            try:
                async for event in _news(request, ask):
                    yield event
            finally:
                open_streams -= 1

        return StreamingResponse(
            stream(), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )

    return events


async def _news(request: Request, ask: Callable[[], Awaitable[Health]]) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    began = spoke = clock()
    known = (await ask()).stored_spans
    yield "retry: 3000\n\n"
    while clock() - began < _LONGEST_S and not await request.is_disconnected():
        await asyncio.sleep(_LOOK_AGAIN_S)
        stored = (await ask()).stored_spans
        if stored != known:
            known, spoke = stored, clock()
            yield f"event: stored\ndata: {stored}\n\n"
        elif clock() - spoke > _SILENCE_S:
            spoke = clock()
            yield ": still here\n\n"
