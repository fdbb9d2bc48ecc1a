"""Who looks: the viewer of a request, with the tenant and the role that bound what the viewer may see."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection


class ForbiddenError(WhodidError):
    """Known who asks, and that is not enough (403)."""


class Role(StrEnum):
    """What a viewer may see. Each role may what those before it may; compare them with `<` and `>=`."""

    VIEWER = "viewer"
    """Every answer, without content."""
    INVESTIGATOR = "investigator"
    """Content and SQL too, and each view of them is recorded."""
    ADMIN = "admin"
    """All that, and what changes how the service works."""

    # Without these, roles would compare as texts, and a viewer would stand above an admin.
    def __lt__(self, other: str) -> bool:
        return _RANKS[self] < _RANKS[Role(other)]

    def __le__(self, other: str) -> bool:
        return _RANKS[self] <= _RANKS[Role(other)]

    def __gt__(self, other: str) -> bool:
        return _RANKS[self] > _RANKS[Role(other)]

    def __ge__(self, other: str) -> bool:
        return _RANKS[self] >= _RANKS[Role(other)]


class Kind(StrEnum):
    """What a viewer is; the values of `attribution.principal.type` that a viewer can have."""

    HUMAN = "human"
    SERVICE = "service"


class Authentication(StrEnum):
    """How it is known who asks."""

    NONE = "none"
    """It is not: on loopback, before there is a token or a proxy."""
    TOKEN = "token"  # noqa: S105 - no password
    SESSION = "session"
    """A token that was given on the sign-in page."""
    PROXY = "proxy"
    """A proxy in front says so, and was believed."""


_RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who asks. `request.state.viewer` on every path but those that are open to all."""

    name: str
    tenant: str
    """Whose spans are asked about when the request does not say."""
    role: Role
    all_tenants: bool = False
    """Whether the request may name another tenant."""
    kind: Kind = Kind.HUMAN
    authentication: Authentication = Authentication.NONE
    credential_id: str = ""
    """Which token, or which JWT; never the secret."""
    session_id: str = ""

    def needs(self, role: Role, what: str) -> None:
        """Raises ForbiddenError for a lesser role. `what`: "content", for the cause."""
        if self.role < role:
            raise ForbiddenError(
                f"{what} needs the role {role}, and {self.name} has {self.role}",
                "ask an admin for a token with that role (whodid tokens create)",
            )

    def tenant_asked(self, name: str | None) -> str:
        """The tenant that a request is about: the named one, or the viewer's own. Raises ForbiddenError."""
        if name is None or name == self.tenant or self.all_tenants:
            return self.tenant if name is None else name
        raise ForbiddenError(
            f"{self.name} may not ask about another tenant than its own", "leave out the parameter tenant"
        )


def viewer_of(request: HTTPConnection) -> Viewer:
    """The viewer that the middleware found. Nothing is answered without one: a bug where there is none."""
    viewer: object = request.scope.get("state", {}).get("viewer")
    if not isinstance(viewer, Viewer):
        raise TypeError("no viewer: the access middleware was not in front of this path")
    return viewer
