"""A proxy in front: who it says the viewer is, believed of a verified JWT or of configured peers alone."""

from __future__ import annotations

import hashlib
import ipaddress
from typing import TYPE_CHECKING, Any, cast

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError

from whodid.processor.access.keys import Keys
from whodid.processor.access.tokens import ALL_TENANTS
from whodid.processor.access.viewer import Authentication, ForbiddenError, Kind, Role, Viewer
from whodid.store.questions.asking import ParameterError, tenant_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import HTTPConnection

    from whodid.processor.access.settings import ProxySettings

MAX_HEADER_CHARACTERS = 16_384
MAX_NAME_CHARACTERS = 256
MAX_GROUPS = 1_000
LEEWAY_S = 30
# None that both sides would sign with the same secret.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]


class Proxy:
    """Reads the header of the settings. `report` is told, without the header, why one was not believed."""

    def __init__(self, settings: ProxySettings, own_tenant: str, report: Callable[[str], None]) -> None:
        self._settings = settings
        self._own_tenant = own_tenant
        self._report = report
        self._networks = [ipaddress.ip_network(each, strict=False) for each in settings.peers]
        self._keys = Keys(settings.jwks)
        self._registry = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "value": settings.audience},
            exp={"essential": True},
        )

    async def viewer(self, connection: HTTPConnection) -> Viewer | None:
        """Who the header says asks; None where there is none to be believed.

        Raises ForbiddenError for somebody known who may not look, and KeysError.
        """
        values = connection.headers.getlist(self._settings.header)
        if not values:
            return None
        if not self._is_peer(connection):
            self._report(f"a header {self._settings.header} came from {peer_of(connection) or 'nowhere'}")
            return None
        if len(values) > 1 or len(values[0]) > MAX_HEADER_CHARACTERS:
            self._report(f"the header {self._settings.header} came twice, or is too long")
            return None
        if self._settings.kind == "header":
            groups = connection.headers.get(self._settings.groups_header, "").split(",")
            return self._allowed(values[0].strip(), [each.strip() for each in groups], None, "")
        return await self._verified(values[0])

    def _is_peer(self, connection: HTTPConnection) -> bool:
        if not self._networks:
            return self._settings.kind == "jwt"
        try:
            address = ipaddress.ip_address(peer_of(connection))
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    async def _verified(self, value: str) -> Viewer | None:
        text = value.removeprefix("Bearer ").strip()
        try:
            claims = await self._claims(text)
            self._registry.validate(claims)
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            self._report(f"a JWT in {self._settings.header} is not valid: {type(error).__name__}")
            return None
        name = claims.get(self._settings.name_claim)
        if not isinstance(name, str) or (
            # An address that its owner has not confirmed is a wish.
            self._settings.name_claim == "email" and claims.get("email_verified", True) is not True
        ):
            self._report(f"a JWT has no {self._settings.name_claim} to go by")
            return None
        tenant = claims.get(self._settings.tenant_claim) if self._settings.tenant_claim else None
        groups = _groups(claims.get(self._settings.groups_claim))
        digest = hashlib.sha256(text.encode()).hexdigest()
        return self._allowed(name, groups, tenant, f"sha256:{digest[:16]}")

    async def _claims(self, text: str) -> dict[str, Any]:
        try:
            return jwt.decode(text, await self._keys.get(), _ALGORITHMS).claims
        except InvalidKeyIdError:  # the issuer has a new key
            return jwt.decode(text, await self._keys.get(newer=True), _ALGORITHMS).claims

    def _allowed(
        self, name: str, groups: Sequence[str], claimed: object, credential_id: str
    ) -> Viewer | None:
        if not 0 < len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
            self._report("the viewer's name is empty, too long or not printable")
            return None
        role = self._role(name, groups)
        tenant = self._tenant(name, groups, claimed)
        if tenant == ALL_TENANTS and role is not Role.ADMIN:
            raise ForbiddenError(
                f"{name} has the role {role}, and all tenants are for admins alone",
                "access.proxy.tenants names one tenant for the group",
            )
        return Viewer(
            name=name,
            tenant=self._own_tenant if tenant == ALL_TENANTS else tenant,
            role=role,
            all_tenants=tenant == ALL_TENANTS,
            kind=Kind.HUMAN,
            authentication=Authentication.PROXY,
            credential_id=credential_id,
        )

    def _role(self, name: str, groups: Sequence[str]) -> Role:
        roles = [self._settings.roles[each] for each in groups if each in self._settings.roles]
        if self._settings.default_role:
            roles.append(Role(self._settings.default_role))
        if not roles:
            raise ForbiddenError(
                f"{name} is in no group that may look", "access.proxy.roles says which groups may"
            )
        return max(roles)

    def _tenant(self, name: str, groups: Sequence[str], claimed: object) -> str:
        for group, tenant in self._settings.tenants.items():
            if group in groups:
                return tenant
        if not self._settings.tenant_claim:
            return self._own_tenant
        # Where the tenant is to be claimed, somebody without one is in none, and not in the service's own.
        try:
            return tenant_name(str(claimed) if isinstance(claimed, str) and claimed else "?")
        except ParameterError:
            raise ForbiddenError(
                f"{name} comes without a tenant in {self._settings.tenant_claim}",
                "the identity provider has to add it",
            ) from None


def peer_of(connection: HTTPConnection) -> str:
    """The address at the other end of the connection; empty where there is none."""
    host = connection.client.host if connection.client else ""
    return host.removeprefix("::ffff:") if "." in host else host


def _groups(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return []
    return [each for each in cast("list[object]", value)[:MAX_GROUPS] if isinstance(each, str)]
