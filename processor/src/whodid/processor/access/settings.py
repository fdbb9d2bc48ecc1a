"""The section `access` of the settings: who may look, and how that is known."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from whodid.processor.access.viewer import Role
from whodid.processor.section import Section

TenantOrAll = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9._:@/-]{0,128}|\*)$")]
"""A tenant's name, or `*` for all of them."""


class ProxySettings(Section):
    """A proxy in front that authenticates viewers, by OIDC for example, and says in a header who they are."""

    kind: str = Field(
        "none",
        pattern=r"^(none|jwt|header)$",
        description="`jwt`: the header is a signed JWT, which is verified. `header`: it is the user's name, "
        "which is believed of `access.proxy.peers` alone. `none`: no header is looked at.",
    )
    header: str = Field(
        "",
        pattern=r"^[A-Za-z0-9-]{0,100}$",
        description="The header's name: `X-Goog-IAP-JWT-Assertion`, `Authorization` (with `Bearer`), "
        "`X-Forwarded-User`.",
    )
    peers: list[str] = Field(
        [],
        max_length=100,
        description="Addresses or networks that the proxy connects from; JSON in the variable. The header of "
        "anyone else is ignored and reported. Empty with `jwt`: anyone.",
    )
    jwks: str = Field(
        "",
        max_length=2_000,
        description="The issuer's public keys (JWKS): a file, or an `https://` address.",
    )
    issuer: str = Field("", max_length=1_000, description="What the JWT has to have as `iss`.")
    audience: str = Field("", max_length=1_000, description="What the JWT has to have in `aud`.")
    name_claim: str = Field("email", min_length=1, max_length=100, description="The claim with the name.")
    groups_claim: str = Field("groups", max_length=100, description="The claim with the viewer's groups.")
    tenant_claim: str = Field(
        "", max_length=100, description="A claim with the tenant, where `access.proxy.tenants` has none."
    )
    groups_header: str = Field(
        "X-Forwarded-Groups",
        pattern=r"^[A-Za-z0-9-]{0,100}$",
        description="With `header`: where the groups are, with commas between.",
    )
    roles: dict[str, Role] = Field(
        {},
        max_length=1_000,
        description="The role of each group's members, the highest counts: a table in whodid.toml, JSON in "
        'the variable: `{"soc": "investigator"}`.',
    )
    default_role: str = Field(
        "",
        pattern=r"^(viewer|investigator|admin)?$",
        description="The role of those in none of these groups. Empty: they may not look.",
    )
    tenants: dict[str, TenantOrAll] = Field(
        {},
        max_length=1_000,
        description="The tenant of each group's members, the first counts; `*`, for admins: all. In none: "
        "the service's own.",
    )

    @field_validator("peers")
    @classmethod
    def _are_networks(cls, peers: list[str]) -> list[str]:
        for each in peers:
            ipaddress.ip_network(each, strict=False)
        return peers

    @model_validator(mode="after")
    def _can_be_checked(self) -> ProxySettings:
        if self.kind == "none":
            return self
        if not self.header:
            raise ValueError("header is empty: it is not known where the proxy says who the viewer is")
        if self.kind == "header" and not self.peers:
            raise ValueError("peers is empty: anyone could send the header that is believed")
        if self.kind == "jwt":
            for name in ("jwks", "issuer", "audience"):
                if not getattr(self, name):
                    raise ValueError(f"{name} is empty: the JWT could not be verified")
            if "://" in self.jwks and not self.jwks.startswith("https://"):
                raise ValueError("jwks has to be a file or an https:// address: keys could be exchanged")
        return self


class AccessSettings(Section):
    """Who may look. On loopback everyone may, until there is a token or a proxy."""

    tokens_file: str = Field(
        "",
        max_length=1_000,
        description="The digests of the tokens (`whodid tokens`). Empty: `<data_dir>/tokens.json`.",
    )
    key_file: str = Field(
        "",
        max_length=1_000,
        description="The secret that sessions are signed with, made if it is not there; replicas need the "
        "same. Empty: `<data_dir>/access.key`.",
    )
    session_s: int = Field(
        8 * 3600, ge=60, le=30 * 86_400, description="How long a session in a browser lasts."
    )
    origin: str = Field(
        "",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]{1,255})?$",
        description="How browsers reach the pages through a proxy: `https://whodid.acme.example`.",
    )
    max_failed_sign_ins: int = Field(
        20, ge=1, le=10_000, description="From one address in a minute; then it has to wait."
    )
    token: SecretStr = Field(
        SecretStr(""),
        description="For the command line, not the service: the token with which it asks. Better in the "
        "variable than in a file.",
    )
    proxy: ProxySettings = ProxySettings()  # pyright: ignore[reportCallIssue]
