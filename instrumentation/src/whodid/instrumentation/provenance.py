"""Results from caches: who made them, for whom and when is kept with them, and said by whoever reads them."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final, TypeVar, cast

from opentelemetry.trace import Span, SpanContext, TraceFlags, get_current_span

from whodid.instrumentation import actions
from whodid.instrumentation.blocks import MAX_VALUE_CHARS
from whodid.instrumentation.context import current, rfc3339
from whodid.instrumentation.scopes import where
from whodid.semconv import attributes as names
from whodid.semconv.values import ResultSource

_log = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])
MAX_ENTRIES: Final = 1024
_MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a result: the span, and what it said of itself. No content, so it can lie in any cache."""

    trace_id: str
    span_id: str
    action_id: str | None = None
    principal_id: str | None = None
    initiator_id: str | None = None
    time: str | None = None
    """RFC 3339 in UTC."""

    def to_text(self) -> str:
        """As text, for a cache that other processes read."""
        return json.dumps({name: value for name, value in asdict(self).items() if value is not None})

    @classmethod
    def from_text(cls, text: str | bytes) -> Origin | None:
        """The counterpart; None for what is no origin, since anybody may write into a shared cache."""
        try:
            said: Any = json.loads(text)
            known = {each.name for each in fields(cls)}
            if not isinstance(said, dict) or not known.issuperset(cast("dict[str, Any]", said)):
                return None
            origin = cls(**cast("dict[str, Any]", said))
            if int(origin.trace_id, 16) >= 1 << 128 or int(origin.span_id, 16) >= 1 << 64:
                return None
            texts = [value for value in asdict(origin).values() if value is not None]
        except (ValueError, TypeError, RecursionError):
            return None
        fits = all(isinstance(each, str) and len(each) <= MAX_VALUE_CHARS for each in texts)
        return origin if fits else None


@dataclass(frozen=True, slots=True)
class Kept:
    """A value beside its origin, as `cached` keeps it in a mapping of the host's."""

    value: Any
    origin: Origin | None
    expires_at_s: float | None = None
    """On the wall clock, since a mapping may outlive the process."""


def here() -> Origin | None:
    """The origin of a result that is made now; None where no span is at work, which nobody could name."""
    span = _span()
    context = span.get_span_context()
    if not context.is_valid:
        return None
    known = current()
    return Origin(
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        action_id=known.action_id,
        principal_id=known.principal_id,
        initiator_id=known.initiator_id,
        time=rfc3339(datetime.now(UTC)),
    )


def read(origin: Origin | None) -> None:
    """Say on the action at work that it was given a result of this origin. Never raises.

    A result of the same action is no cached one. Of several origins the span names the first, or the first
    that is another principal's; each of them is linked.
    """
    try:
        span = _span()
        known = current()
        if origin is None or not span.is_recording():
            return
        if origin.action_id is not None and origin.action_id == known.action_id:
            return
        if origin.span_id == f"{span.get_span_context().span_id:016x}":
            return
        said = _attributes(origin)
        span.add_link(_span_context(origin), said)
        before: Any = getattr(span, "attributes", None) or {}
        crosses = origin.principal_id != known.principal_id
        names_own = before.get(names.ATTRIBUTION_RESULT_ORIGIN_PRINCIPAL_ID) == known.principal_id
        if before.get(names.ATTRIBUTION_RESULT_SOURCE) != ResultSource.CACHE or (crosses and names_own):
            span.set_attributes({names.ATTRIBUTION_RESULT_SOURCE: ResultSource.CACHE.value, **said})
    except Exception as error:  # noqa: BLE001 the host's cache works as it did without us
        _log.error("whodid: a cached result could not be recorded: %s", where(error))


def would_say() -> bool:
    """Whether reading a cached result would be said anywhere, so that a look for its origin is worth it."""
    return _span().is_recording()


def made_live() -> None:
    """Say on the action at work that its result was made by itself, unless it has read a cached one."""
    span = _span()
    before: Any = getattr(span, "attributes", None) or {}
    if current().action_id is not None and names.ATTRIBUTION_RESULT_SOURCE not in before:
        span.set_attribute(names.ATTRIBUTION_RESULT_SOURCE, ResultSource.LIVE.value)


def cached(
    function: Callable[..., Any] | None = None,
    *,
    key: Callable[..., Any] | None = None,
    max_entries: int = MAX_ENTRIES,
    ttl_s: float | None = None,
    cache: MutableMapping[Any, Any] | None = None,
) -> Any:
    """Keep a function's results with who made them; whoever is given one later says so on its span.

    For functions and coroutine functions. `key` makes an entry's key of the arguments, which otherwise have
    to be hashable: put the user in it if results are not for everybody. `cache`: a mapping of your own, such
    as one of cachetools' or a diskcache; otherwise the last `max_entries` used are kept, for `ttl_s` seconds.

    On a function that `functools.lru_cache` made, the same cache is made anew, with its `maxsize` and
    `typed`; `cache_info` and `cache_clear` are there as before.
    """
    if function is None:
        return functools.partial(cached, key=key, max_entries=max_entries, ttl_s=ttl_s, cache=cache)
    if hasattr(function, "cache_parameters") and hasattr(function, "__wrapped__"):
        return _over_lru_cache(function)
    kept = _Entries(max_entries, ttl_s, cache)
    make_key = key or _key
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            entry = make_key(*args, **kwargs)
            found = kept.get(entry)
            if found is _MISSING:
                found = await function(*args, **kwargs)
                kept.put(entry, found)
            return found

        return run_async

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        entry = make_key(*args, **kwargs)
        found = kept.get(entry)
        if found is _MISSING:
            found = function(*args, **kwargs)
            kept.put(entry, found)
        return found

    return run


class _Entries:
    """A bounded mapping of values with their origins, or the host's own mapping."""

    def __init__(self, max_entries: int, ttl_s: float | None, cache: MutableMapping[Any, Any] | None) -> None:
        self._max_entries = max_entries
        self._ttl_s = ttl_s
        self._own = cache is None
        self._entries: MutableMapping[Any, Any] = OrderedDict() if cache is None else cache
        # Not every mapping of the host's is safe for threads; those of cachetools say so.
        self._lock = threading.RLock()

    def get(self, key: Any) -> Any:
        """The value, which is said to be read; _MISSING if there is none."""
        with self._lock:
            try:
                kept = self._entries[key]
            except KeyError:
                return _MISSING
            if isinstance(kept, Kept) and kept.expires_at_s is not None and kept.expires_at_s <= time.time():
                self._entries.pop(key, None)
                return _MISSING
            if self._own:
                cast("OrderedDict[Any, Any]", self._entries).move_to_end(key)
        if not isinstance(kept, Kept):  # put there by somebody else
            return kept
        read(kept.origin)
        return kept.value

    def put(self, key: Any, value: Any) -> None:
        """Keep a value that was made now."""
        made_live()
        expires_at_s = None if self._ttl_s is None else time.time() + self._ttl_s
        with self._lock:
            self._entries[key] = Kept(value, here(), expires_at_s)
            while self._own and len(self._entries) > self._max_entries:
                cast("OrderedDict[Any, Any]", self._entries).popitem(last=False)


_made: Final[ContextVar[list[Kept] | None]] = ContextVar("whodid_made", default=None)


def _over_lru_cache(function: Any) -> Any:
    """The same cache over a function that gives its value with its origin."""

    @functools.wraps(function.__wrapped__)
    def make(*args: Any, **kwargs: Any) -> Kept:
        kept = Kept(function.__wrapped__(*args, **kwargs), here())
        made_live()
        if (made := _made.get()) is not None:
            made.append(kept)
        return kept

    inner: Any = functools.lru_cache(**function.cache_parameters())(make)

    @functools.wraps(function.__wrapped__)
    def run(*args: Any, **kwargs: Any) -> Any:
        made: list[Kept] = []
        token = _made.set(made)
        try:
            kept = inner(*args, **kwargs)
        finally:
            _made.reset(token)
        if not any(each is kept for each in made):
            read(kept.origin)
        return kept.value

    for name in ("cache_info", "cache_clear", "cache_parameters"):
        setattr(run, name, getattr(inner, name))
    return run


def _key(*args: Any, **kwargs: Any) -> Any:
    return (args, tuple(sorted(kwargs.items())))


def _span() -> Span:
    """The action's own span, where it is ours and at work; the current one elsewhere."""
    action = actions.at_work()
    own = None if action is None else action.span
    return own if own is not None and own.is_recording() else get_current_span()


def _attributes(origin: Origin) -> dict[str, str]:
    said = {
        names.ATTRIBUTION_RESULT_ORIGIN_TRACE_ID: origin.trace_id,
        names.ATTRIBUTION_RESULT_ORIGIN_SPAN_ID: origin.span_id,
        names.ATTRIBUTION_RESULT_ORIGIN_INITIATOR_ID: origin.initiator_id,
        names.ATTRIBUTION_RESULT_ORIGIN_PRINCIPAL_ID: origin.principal_id,
        names.ATTRIBUTION_RESULT_ORIGIN_TIME: origin.time,
    }
    return {name: value for name, value in said.items() if value is not None}


def _span_context(origin: Origin) -> SpanContext:
    return SpanContext(
        trace_id=int(origin.trace_id, 16),
        span_id=int(origin.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )
