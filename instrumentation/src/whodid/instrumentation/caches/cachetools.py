"""cachetools: an entry's origin is kept beside its cache, and no longer than that."""

from __future__ import annotations

from collections import OrderedDict
from types import ModuleType
from typing import Any, Final

from whodid.instrumentation import provenance
from whodid.instrumentation.frameworks.seam import quietly
from whodid.instrumentation.hooks import Hooks
from whodid.instrumentation.provenance import Origin
from whodid.instrumentation.weakly import ByObject

ADAPTER: Final = "cachetools"
MAX_ORIGINS: Final = 10_000
_CLASSES: Final = ("FIFOCache", "LFUCache", "LRUCache", "RRCache", "TTLCache", "TLRUCache")
_origins: Final[ByObject[OrderedDict[Any, tuple[Origin | None, int]]]] = ByObject()


class Instrumentor(Hooks):
    """Hooks what stores and what gives in each of its classes."""

    name = ADAPTER
    distribution = "cachetools"
    modules = ("cachetools",)

    def hook(self, module: ModuleType) -> None:
        """Wrap the two methods that `cached`, `cachedmethod` and everybody else go through."""
        for name in _CLASSES:
            if hasattr(module, name):
                self.wrap(module, f"{name}.__setitem__", _set)
                self.wrap(module, f"{name}.__getitem__", _get)


def _set(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    done = wrapped(*args, **kwargs)
    quietly(ADAPTER, "an origin could not be kept", lambda: _keep(instance, args[0], args[1]))
    return done


def _keep(cache: Any, key: Any, value: Any) -> None:
    known = _origins.get(cache)
    if known is None:
        known = OrderedDict[Any, tuple[Origin | None, int]]()
        _origins.set(cache, known)
    known[key] = (provenance.here(), id(value))
    while len(known) > MAX_ORIGINS:
        known.popitem(last=False)


def _get(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    value = wrapped(*args, **kwargs)
    quietly(ADAPTER, "a cached result could not be recorded", lambda: _read(instance, args[0], value))
    return value


def _read(cache: Any, key: Any, value: Any) -> None:
    origin, value_id = (_origins.get(cache) or {}).get(key, (None, None))
    # Another object came there past the hook: of that one nothing is known.
    if value_id == id(value):
        provenance.read(origin)
