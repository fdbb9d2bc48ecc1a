"""A panel's question, asked for the viewer: an answer or the reason why there is none, never an exception."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from whodid.dashboards.pages.asked import Asked
from whodid.dashboards.pages.links import Links
from whodid.processor import api, ports
from whodid.processor.access.gate import admit
from whodid.processor.errors import WhodidError
from whodid.store.questions.asking import parse

if TYPE_CHECKING:
    from starlette.requests import Request

    from whodid.dashboards.pages.look import Given, Look
    from whodid.dashboards.pages.page import Panel
    from whodid.processor.settings import Settings
    from whodid.store import Store
    from whodid.store.questions import AnyQuestion


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks the store's questions, at most so many at once."""

    store: Store
    settings: Settings
    turns: asyncio.Semaphore

    @property
    def endpoint(self) -> str:
        """Where agents send to; empty where the port is whichever was free, which the service has printed."""
        receiver = self.settings.receiver
        host = ports.reachable(receiver.host)
        return f"http://{ports.at(host, receiver.grpc_port)}" if receiver.grpc_port else ""

    async def panels(self, look: Look, panels: list[Panel]) -> dict[str, Asked | None]:
        """All of some panels, side by side. None for one that the address does not ask."""
        asked = await asyncio.gather(*(self._panel(look, panel) for panel in panels))
        return {panel.name: each for panel, each in zip(panels, asked, strict=True)}

    async def _panel(self, look: Look, panel: Panel) -> Asked | None:
        given = panel.parameters(look)
        return None if given is None else await self.ask(look.request, panel.question, given)

    async def ask(self, request: Request, question: AnyQuestion, given: Given) -> Asked:
        """One question with its parameters as texts, for the viewer of the request."""
        tenant = request.query_params.get("tenant")
        links = Links(tenant)
        try:
            parameters = parse(question, given)
            admitted = await admit(request, question, parameters, tenant)
            reader = self.store.reader(admitted, api.limits(self.settings.api))
            async with self.turns:
                answer = await run_in_threadpool(question.ask, reader, parameters)
        except WhodidError as error:
            return Asked(question=question, given=given, links=links, error=error)
        return Asked(question=question, given=given, links=links, answer=answer, statements=reader.statements)
