"""Tokens: 256 random bits that their owner is shown once, and the file that has their digests."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from whodid.processor.access.settings import TenantOrAll
from whodid.processor.access.viewer import Authentication, Kind, Role, Viewer
from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from whodid.processor.settings import Settings

FILE = "tokens.json"
ALL_TENANTS = "*"
MAX_TOKENS = 10_000
MAX_DAYS = 366
KEPT_AFTER_ITS_END = datetime.timedelta(days=90)
_TEXT = re.compile(r"whodid_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
_OPEN_TO_OTHERS = 0o022


class TokensError(WhodidError):
    """The file of tokens cannot be used; nobody is let in by a token until it can."""


class Token(BaseModel):
    """One token, without what would let anyone in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^[0-9a-f]{16}$")
    name: str = Field(pattern=r"^[A-Za-z0-9._:@/+-]{1,128}$")
    """Who its owner is."""
    kind: Kind
    role: Role
    tenant: TenantOrAll
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    """SHA-256 of the token's text: of 256 random bits that is enough."""
    created_at: AwareDatetime
    expires_at: AwareDatetime
    revoked_at: AwareDatetime | None = None

    @property
    def ended_at(self) -> datetime.datetime:
        """The end of its use, by its expiry or before."""
        return min(self.expires_at, self.revoked_at or self.expires_at)

    def is_live(self, now: datetime.datetime | None = None) -> bool:
        return (now or datetime.datetime.now(datetime.UTC)) < self.ended_at

    def viewer(self, own_tenant: str, authentication: Authentication, session_id: str = "") -> Viewer:
        """Whom the token stands for, at a service of this tenant."""
        all_tenants = self.tenant == ALL_TENANTS and self.role is Role.ADMIN
        return Viewer(
            name=self.name,
            tenant=own_tenant if all_tenants else self.tenant,
            role=self.role,
            all_tenants=all_tenants,
            kind=self.kind,
            authentication=authentication,
            credential_id=f"token:{self.id}",
            session_id=session_id,
        )


_TOKENS = TypeAdapter(list[Token])


def path_of(settings: Settings) -> Path:
    return Path(settings.access.tokens_file or settings.data_dir / FILE)


def new(
    *,
    name: str,
    kind: Kind,
    role: Role,
    tenant: str,
    lives: datetime.timedelta,
    now: datetime.datetime | None = None,
) -> tuple[Token, str]:
    """A token, and its text, which is nowhere else. Raises WhodidError when it cannot be as it is wanted."""
    if tenant == ALL_TENANTS and role is not Role.ADMIN:
        raise WhodidError("all tenants are for the role admin alone", "name one tenant, or use --role admin")
    if not datetime.timedelta(0) < lives <= datetime.timedelta(days=MAX_DAYS):
        raise WhodidError(f"a token lives for up to {MAX_DAYS} days", "use --expires 90d")
    created_at = (now or datetime.datetime.now(datetime.UTC)).replace(microsecond=0)
    id_ = secrets.token_hex(8)
    text = f"whodid_{id_}_{secrets.token_urlsafe(32)}"
    try:
        token = Token(
            id=id_,
            name=name,
            kind=kind,
            role=role,
            tenant=tenant,
            digest=_digest(text),
            created_at=created_at,
            expires_at=created_at + lives,
        )
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][0])
        raise WhodidError(
            f"the token's {field} may have letters, digits and ._:@/+- only", "use an address of mail, say"
        ) from None
    return token, text


def is_token(text: str) -> bool:
    """Whether a text has the form of a token."""
    return _TEXT.fullmatch(text) is not None


def has_token(text: str) -> bool:
    """Whether a token is somewhere within."""
    return _TEXT.search(text) is not None


def read(path: Path) -> list[Token]:
    """The file's tokens; none where there is no file. Raises TokensError."""
    try:
        if path.stat().st_mode & _OPEN_TO_OTHERS:
            raise TokensError(f"others may write to {path}, and let themselves in", f"chmod go-w {path}")
        return _TOKENS.validate_json(path.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TokensError(f"{path} cannot be read: {error.strerror}", "check access.tokens_file") from error
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors(include_input=False)[0]["loc"])
        raise TokensError(
            f"{path} is no file of tokens{f' (at {where})' if where else ''}",
            "put a copy of it back; `whodid tokens create` begins a new one where there is none",
        ) from None


@contextlib.contextmanager
def changing(path: Path) -> Generator[list[Token]]:
    """The file's tokens, written back at the end of the block, whole; nobody else changes it meanwhile.

    Raises TokensError.
    """
    lock = path.with_name(f"{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            tokens = read(path)
            yield tokens
            _write(path, _kept(tokens))
        finally:
            os.close(handle)
    except OSError as error:
        raise TokensError(
            f"{path} cannot be written: {error.strerror}", "check access.tokens_file"
        ) from error


def _kept(tokens: Sequence[Token]) -> list[Token]:
    """All but those whose end is long past. Raises TokensError."""
    now = datetime.datetime.now(datetime.UTC)
    kept = [each for each in tokens if now - each.ended_at < KEPT_AFTER_ITS_END]
    if len(kept) > MAX_TOKENS:
        raise TokensError(f"there are {MAX_TOKENS} tokens", "revoke some; an identity provider suits so many")
    return kept


def _write(path: Path, tokens: Sequence[Token]) -> None:
    fresh = path.with_name(f"{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(_TOKENS.dump_json(list(tokens), indent=1) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_NOBODYS = "0" * 64


class LiveTokens:
    """The file's tokens as they are now: a changed file counts at the next request."""

    def __init__(self, path: Path) -> None:
        """Raises TokensError."""
        self._path = path
        self._signature: tuple[int, int, int] | None = None
        self._tokens: dict[str, Token] = {}
        self.are_used = False
        """Whether there is or was any, revoked and expired ones too: a file that is gone opens nothing."""
        self._refresh()

    def find(self, text: str) -> Token | None:
        """The live token with this text. Raises TokensError."""
        self._refresh()
        token = self._tokens.get(text[7:23]) if is_token(text) else None
        # The same work for a token that is none, and no hint of how much of a digest was right.
        same = hmac.compare_digest(_digest(text), token.digest if token else _NOBODYS)
        return token if token is not None and same and token.is_live() else None

    def by_id(self, id_: str) -> Token | None:
        """The live token with this id, which its owner has shown before. Raises TokensError."""
        self._refresh()
        token = self._tokens.get(id_)
        return token if token is not None and token.is_live() else None

    def live_count(self) -> int:
        self._refresh()
        return sum(each.is_live() for each in self._tokens.values())

    def refreshed(self) -> bool:
        """Whether tokens are used, by the file as it is now. Raises TokensError."""
        self._refresh()
        return self.are_used

    def _refresh(self) -> None:
        try:
            found = self._path.stat()
            signature = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
        except OSError:
            signature = (0, 0, 0)
        if signature == self._signature:
            return
        self._tokens = {}  # a file that cannot be read lets nobody in, and is tried again each time
        self._signature = None
        tokens = read(self._path)
        self._tokens = {each.id: each for each in tokens}
        self._signature = signature
        self.are_used = self.are_used or bool(tokens)
