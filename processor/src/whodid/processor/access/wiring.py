"""Everything about access of one service, built once from its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whodid.processor.access import csrf, sessions
from whodid.processor.access.audit import Accept, Audit
from whodid.processor.access.authentication import Authenticator, needs_tls

if TYPE_CHECKING:
    from collections.abc import Callable

    from whodid.processor.access.viewer import Viewer
    from whodid.processor.settings import Settings


class Access:
    """Who may look, for the middleware, the sign-in page and the gate. `app.state.access`."""

    def __init__(
        self, settings: Settings, accept: Accept | None = None, say: Callable[[str], None] = lambda _: None
    ) -> None:
        """`accept`: what takes the records of views. `say`: for what an operator should read.

        Raises WhodidError.
        """
        key = sessions.key_of(settings)
        self.settings = settings.access
        self.needs_tls = needs_tls(settings)
        self.sessions = sessions.Sessions(key, settings.access.session_s)
        self.authenticator = Authenticator(settings, self.sessions, say)
        self.audit = Audit(accept)
        self._csrf_key = sessions.derived(key, "csrf")

    def csrf_token(self, viewer: Viewer) -> str:
        return csrf.token_of(self._csrf_key, viewer)
