"""The gate: what every question passes before it is asked, whoever asks it for whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whodid.processor.access.viewer import Role, viewer_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from whodid.processor.access.wiring import Access
    from whodid.store.questions import AnyQuestion
    from whodid.store.questions.question import Parameters

CONTENT = "content"
"""The parameter that asks a question for what it withholds otherwise."""
SQL = "sql"


async def admit(request: Request, question: AnyQuestion, parameters: Parameters, tenant: str | None) -> str:
    """The tenant that the viewer may ask this about. Called before each question, by the API and by pages.

    A view of content is on record when this returns. `tenant`: the one that the request names.
    Raises ForbiddenError (403) and AuditError (503).
    """
    viewer = viewer_of(request)
    admitted = viewer.tenant_asked(tenant)
    if shows_content(question, parameters):
        viewer.needs(Role.INVESTIGATOR, "SQL" if question.name == SQL else "content")
        access: Access = request.app.state.access
        await access.audit.record(viewer, question, parameters, admitted)
    return admitted


def shows_content(question: AnyQuestion, parameters: Parameters) -> bool:
    """Whether the answer may hold what people and models said. SQL can always show it."""
    return question.name == SQL or getattr(parameters, CONTENT, False) is True
