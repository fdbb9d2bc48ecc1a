"""The sign-in page: takes a token, and begins a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from whodid.processor.access import csrf, forms, plain, targets
from whodid.processor.access.attempts import Attempts, TooManyAttemptsError
from whodid.processor.access.proxy import peer_of
from whodid.processor.access.tokens import TokensError
from whodid.processor.access.viewer import ForbiddenError
from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from starlette.requests import Request

    from whodid.processor.access.wiring import Access


_REFUSED = WhodidError(
    "this token lets nobody in", "it is not whole, or it was revoked, or its time is over: ask for another"
)


def routes(access: Access) -> list[Route]:
    """`/sign-in`, which is open to all, and `/sign-out`."""
    pages = _Pages(access)
    return [
        Route(targets.SIGN_IN, pages.sign_in, methods=["GET", "POST"]),
        Route(targets.SIGN_OUT, pages.sign_out, methods=["POST"]),
    ]


class _Pages:
    def __init__(self, access: Access) -> None:
        self._access = access
        self._attempts = Attempts(access.settings.max_failed_sign_ins)

    async def sign_in(self, request: Request) -> Response:
        try:
            return await (self._given(request) if request.method == "POST" else self._shown(request))
        except TokensError as error:
            return plain.refused(error, 503)

    async def sign_out(self, request: Request) -> Response:
        try:
            csrf.check_csrf(request, (await forms.form(request)).get(csrf.FIELD, ""))
        except (ForbiddenError, forms.FormError) as error:
            return plain.refused(error, 403 if isinstance(error, ForbiddenError) else 400)
        if (session := self._access.authenticator.session(request)) is not None:
            self._access.sessions.end(session)
        answer = RedirectResponse(targets.SIGN_IN, 303)
        self._set_cookie(answer, "", 0)
        return answer

    async def _shown(self, request: Request) -> Response:
        target = targets.safe(request.query_params.get("next", targets.HOME))
        if self._access.authenticator.is_open():
            return RedirectResponse(target, 303)
        return plain.sign_in(target)

    async def _given(self, request: Request) -> Response:
        peer = peer_of(request)
        try:
            self._attempts.check(peer)
            fields = await forms.form(request)
        except TooManyAttemptsError as error:
            answer = plain.sign_in(targets.HOME, 429, error)
            answer.headers["retry-after"] = str(error.retry_after_s)
            return answer
        except forms.FormError as error:
            self._attempts.failed(peer)
            answer = plain.sign_in(targets.HOME, 400, error)
            answer.headers["connection"] = "close"  # what is left of the body is not read
            return answer
        target = targets.safe(fields.get("next", targets.HOME))
        token = self._access.authenticator.tokens.find(fields.get("token", "").strip())
        if token is None:
            self._attempts.failed(peer)
            return plain.sign_in(target, 403, _REFUSED)
        cookie, age_s = self._access.sessions.begin(token)
        answer = RedirectResponse(target, 303)
        self._set_cookie(answer, cookie, age_s)
        return answer

    def _set_cookie(self, answer: Response, cookie: str, age_s: int) -> None:
        answer.set_cookie(
            self._access.authenticator.cookie,
            cookie,
            max_age=age_s,
            path="/",
            secure=self._access.needs_tls,
            httponly=True,
            samesite="strict",
        )
