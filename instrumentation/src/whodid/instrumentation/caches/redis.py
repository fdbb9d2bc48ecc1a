"""redis: an entry's origin lies beside it under a key of its own, and counts for that very value only.

Writers without whodid do not know of it, so it names the value's digest: what they write has no origin.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from types import ModuleType
from typing import Any, Final

from whodid.instrumentation import provenance
from whodid.instrumentation.frameworks.seam import argument, quietly, say_once
from whodid.instrumentation.hooks import Hooks
from whodid.instrumentation.provenance import Origin

ADAPTER: Final = "redis"
SUFFIX: Final = ":whodid-origin"
TTL_S: Final = 7 * 24 * 3600
"""The longest that an origin is kept; the entry may live longer, and then has none."""
_UNREAD: Final = "a cached result could not be recorded"
_SYNC, _ASYNC = "redis.client", "redis.asyncio.client"


class Instrumentor(Hooks):
    """Hooks `get`, `set` and `setex` of both clients; nothing else of redis is a cache's."""

    name = ADAPTER
    distribution = "redis"
    modules = (_SYNC, _ASYNC)

    def hook(self, module: ModuleType) -> None:
        """Wrap the client's own methods; a pipeline's only queue commands, and are left alone."""
        is_sync = module.__name__ == _SYNC
        for name in ("set", "setex", "get"):
            wrapper = (_get if name == "get" else _set) if is_sync else (_aget if name == "get" else _aset)
            self.wrap(module, f"Redis.{name}", wrapper)


def _set(wrapped: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    done = wrapped(*args, **kwargs)
    beside = None if not done or _is_pipeline(client) else _beside(wrapped.__name__, args, kwargs)
    if beside is not None:
        quietly(ADAPTER, "an origin could not be kept", lambda: client.execute_command(*beside))
    return done


def _aset(wrapped: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    # A pipeline's is no coroutine function, and so ours must not be one.
    if _is_pipeline(client):
        return wrapped(*args, **kwargs)
    return _stored(wrapped, client, args, kwargs)


async def _stored(wrapped: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    done = await wrapped(*args, **kwargs)
    beside = None if not done else _beside(wrapped.__name__, args, kwargs)
    if beside is not None:
        try:
            await client.execute_command(*beside)
        except Exception as error:  # noqa: BLE001 the host's entry is there, which is what it asked for
            say_once(ADAPTER, "an origin could not be kept", error)
    return done


def _get(wrapped: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = wrapped(*args, **kwargs)
    if value is not None and not _is_pipeline(client) and provenance.would_say():
        key = _key(argument(args, kwargs, 0, "name"))
        text = quietly(ADAPTER, "an origin could not be read", lambda: client.execute_command("GET", key))
        quietly(ADAPTER, _UNREAD, lambda: provenance.read(_origin(text, value)))
    return value


def _aget(wrapped: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if _is_pipeline(client):
        return wrapped(*args, **kwargs)
    return _given(wrapped, client, args, kwargs)


async def _given(wrapped: Any, client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = await wrapped(*args, **kwargs)
    if value is not None and provenance.would_say():
        try:
            text = await client.execute_command("GET", _key(argument(args, kwargs, 0, "name")))
        except Exception as error:  # noqa: BLE001 the host has its value
            say_once(ADAPTER, "an origin could not be read", error)
            return value
        quietly(ADAPTER, _UNREAD, lambda: provenance.read(_origin(text, value)))
    return value


def _is_pipeline(client: Any) -> bool:
    return hasattr(client, "command_stack")


def _key(name: Any) -> str:
    return (name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)) + SUFFIX


def _beside(method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """The command that writes the origin's own entry; None if there is no origin."""
    return quietly(ADAPTER, "an origin could not be kept", lambda: _entry(method, args, dict(kwargs)))


def _entry(method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
    origin = provenance.here()
    if origin is None:
        return None
    if method == "setex":
        name, ttl = argument(args, kwargs, 0, "name"), argument(args, kwargs, 1, "time")
        value = argument(args, kwargs, 2, "value")
    else:
        name, value = argument(args, kwargs, 0, "name"), argument(args, kwargs, 1, "value")
        ttl = argument(args, kwargs, 2, "ex")
        if ttl is None and (ms := argument(args, kwargs, 3, "px")) is not None:
            ttl = _seconds(ms, 1000)
    ttl_s = TTL_S if ttl is None else min(TTL_S, max(1, int(_seconds(ttl, 1))))
    text = json.dumps({"of": _digest(value), "origin": origin.to_text()})
    return "SET", _key(name), text, "EX", ttl_s


def _seconds(given: Any, per_second: int) -> float:
    return given.total_seconds() if isinstance(given, timedelta) else given / per_second


def _origin(text: Any, value: Any) -> Origin | None:
    if not isinstance(text, str | bytes):
        return None
    try:
        said: Any = json.loads(text)
        return Origin.from_text(said["origin"]) if said["of"] == _digest(value) else None
    except (ValueError, TypeError, KeyError):
        return None


def _digest(value: Any) -> str:
    """Of the bytes that lie in redis, as its client writes them."""
    raw = value if isinstance(value, bytes) else str(value).encode()
    return hashlib.sha256(raw).hexdigest()[:32]
