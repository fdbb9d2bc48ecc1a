"""A panel's question, asked for the viewer: an answer or the reason why there is none, never an exception."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python
from starlette.concurrency import run_in_threadpool

from whodid.dashboards.pages.links import Links
from whodid.processor import api, ports, posted
from whodid.processor.access.gate import admit
from whodid.processor.errors import WhodidError
from whodid.store.questions.asking import parse
from whodid.store.questions.question import Listing

if TYPE_CHECKING:
    from starlette.requests import Request

    from whodid.dashboards.pages.page import Given, Look, Panel
    from whodid.processor.settings import Settings
    from whodid.store import Store
    from whodid.store.questions import AnyQuestion
    from whodid.store.reader import Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question that was asked: its answer, or why there is none."""

    question: AnyQuestion
    given: Given
    links: Links
    answer: Any = None
    error: WhodidError | None = None
    statements: list[Statement] = field(default_factory=list["Statement"])

    @property
    def fits_address(self) -> bool:
        """Whether the question can be asked by a link; if not, the API takes it as a POST."""
        length = sum(len(name) + len(text) for name, text in self.given)
        return length <= posted.MAX_IN_ADDRESS_CHARACTERS

    @property
    def json_url(self) -> str:
        return self.links.data(self.question.name, self.given)

    @property
    def csv_url(self) -> str | None:
        """None where the answer is no listing."""
        is_listing = issubclass(self.question.answer, Listing)
        return self.links.data(self.question.name, self.given, "csv") if is_listing else None

    @property
    def sql_url(self) -> str:
        return self.links.statements(self.question.name, self.given)

    @property
    def queries(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Each statement's name, text and parameters, as the API tells them."""
        return [
            (each.query, each.text, to_jsonable_python(each.parameters, bytes_mode="hex"))
            for each in self.statements
        ]

    @property
    def digest(self) -> str:
        """What tells this answer from another one, for who asks whether there is news."""
        text = self.answer.model_dump_json() if self.answer is not None else repr(self.error)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def next_cursor(self) -> str | None:
        return getattr(self.answer, "next_cursor", None)

    @property
    def gaps(self) -> list[str]:
        return getattr(self.answer, "gaps", [])

    @property
    def candidates(self) -> list[Any]:
        """What else an ambiguous id may mean."""
        return list(getattr(self.error, "candidates", ()))


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
