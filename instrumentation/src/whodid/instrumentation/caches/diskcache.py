"""diskcache: an entry's origin is its tag, where the host gives it none: other processes read it too."""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

from whodid.instrumentation import provenance
from whodid.instrumentation.frameworks.seam import quietly
from whodid.instrumentation.hooks import Hooks
from whodid.instrumentation.provenance import Origin

ADAPTER: Final = "diskcache"
PREFIX: Final = "whodid-origin:"
_SET: Final = ("key", "value", "expire", "read", "tag", "retry")
_GET: Final = ("key", "default", "read", "expire_time", "tag", "retry")


class Instrumentor(Hooks):
    """Hooks the class that all of its others are made of."""

    name = ADAPTER
    distribution = "diskcache"
    modules = ("diskcache.core",)

    def hook(self, module: ModuleType) -> None:
        """Wrap what stores and what gives; subscripts and `memoize` go through these."""
        self.wrap(module, "Cache.set", _set)
        self.wrap(module, "Cache.get", _get)


def _set(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = {**dict(zip(_SET, args, strict=False)), **kwargs}
    if given.get("tag") is None:  # the host's own tag stays
        origin = quietly(ADAPTER, "an origin could not be kept", provenance.here)
        given["tag"] = None if origin is None else PREFIX + origin.to_text()
    return wrapped(**given)


def _get(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = {**dict(zip(_GET, args, strict=False)), **kwargs}
    found = wrapped(**{**given, "tag": True})
    tag = found[-1]
    is_ours = isinstance(tag, str) and tag.startswith(PREFIX)
    if is_ours:
        what = "a cached result could not be recorded"
        quietly(ADAPTER, what, lambda: provenance.read(Origin.from_text(tag.removeprefix(PREFIX))))
    if given.get("tag"):
        return (*found[:-1], None if is_ours else tag)
    return found[:-1] if given.get("expire_time") else found[0]
