"""Sessions in browsers: a cookie that says which token was shown, signed, with an end."""

from __future__ import annotations

import hmac
import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from whodid.processor.errors import WhodidError

if TYPE_CHECKING:
    from whodid.processor.access.tokens import Token
    from whodid.processor.settings import Settings

KEY_FILE = "access.key"
KEY_BYTES = 32
_OPEN_TO_OTHERS = 0o027  # a group may read: so a cluster hands out its secrets
MAX_COOKIE_CHARACTERS = 1_024
MAX_ENDED = 100_000
_ALGORITHMS = ["HS256"]
_ISSUER, _AUDIENCE = "whodid", "session"


@dataclass(frozen=True, slots=True)
class Session:
    """A cookie that was made here and is not over. Whether its token still lives is another question."""

    id: str
    token_id: str
    ends_at_s: int
    """Seconds since 1970."""


class Sessions:
    """Makes and reads cookies."""

    def __init__(self, key: bytes, max_age_s: int) -> None:
        self._key = OctKey.import_key(derived(key, "session"))
        self._max_age_s = max_age_s
        # Those that were ended before their time; each only until then.
        self._ended: dict[str, int] = {}

    def begin(self, token: Token) -> tuple[str, int]:
        """The cookie's text and its age in seconds: never beyond the token's own end."""
        now_s = int(time.time())
        ends_at_s = min(now_s + self._max_age_s, int(token.ended_at.timestamp()))
        claims: dict[str, Any] = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": token.id,
            "jti": secrets.token_urlsafe(16),
            "exp": ends_at_s,
        }
        return jwt.encode({"alg": _ALGORITHMS[0]}, claims, self._key, _ALGORITHMS), ends_at_s - now_s

    def read(self, cookie: str) -> Session | None:
        """None for one that was not made with this key, was changed, or is over."""
        if not 0 < len(cookie) <= MAX_COOKIE_CHARACTERS:
            return None
        try:
            claims = jwt.decode(cookie, self._key, _ALGORITHMS).claims
            _CLAIMS.validate(claims)
        except (JoseError, ValueError, TypeError):
            return None
        session = Session(str(claims["jti"]), str(claims["sub"]), int(claims["exp"]))
        return None if session.id in self._ended else session

    def end(self, session: Session) -> None:
        """The cookie counts no more, at this process: elsewhere it lasts until its end or the token's."""
        now_s = time.time()
        if len(self._ended) >= MAX_ENDED:
            self._ended = {id_: end_s for id_, end_s in self._ended.items() if end_s > now_s}
        if len(self._ended) < MAX_ENDED:
            self._ended[session.id] = session.ends_at_s


_CLAIMS = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": _ISSUER},
    aud={"essential": True, "value": _AUDIENCE},
    sub={"essential": True},
    jti={"essential": True},
    exp={"essential": True},
)


def derived(key: bytes, purpose: str) -> bytes:
    """A key of its own for each purpose, so that what one signs is worth nothing to another."""
    return hmac.digest(key, purpose.encode(), "sha256")


def key_of(settings: Settings) -> bytes:
    """The key of the settings' file, which is made where there is none. Raises WhodidError."""
    path = Path(settings.access.key_file or settings.data_dir / KEY_FILE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        if path.stat().st_mode & _OPEN_TO_OTHERS:
            raise WhodidError(f"others may read or write {path}, and sign sessions", f"chmod 600 {path}")
        key = path.read_bytes()
    except OSError as error:
        raise WhodidError(f"{path} cannot be used: {error.strerror}", "check access.key_file") from error
    if len(key) < KEY_BYTES:
        raise WhodidError(f"{path} has less than {KEY_BYTES} bytes", "remove it: a new one is made")
    return key


def _make(path: Path) -> None:
    """Writes a new key, whole or not at all; one that another process made meanwhile stays."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return
    finally:
        fresh.unlink()
