"""`@tool_effect`: what a tool does to what, declared by its author. What nobody declared stays missing."""

from __future__ import annotations

import functools
import inspect
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from opentelemetry.trace import get_current_span

from whodid.instrumentation.blocks import MAX_VALUE_CHARS
from whodid.instrumentation.context import current, with_attribution
from whodid.instrumentation.streams import attached
from whodid.instrumentation.weakly import ByObject
from whodid.semconv import attributes as names
from whodid.semconv.values import ActionEffect

T = TypeVar("T")
MARK: Final = "__whodid_effect__"
_INNER: Final = ("func", "coroutine", "fn", "function", "on_invoke_tool", "_invoke_tool_impl", "__wrapped__")
"""Where frameworks' tools keep the function that they were made of."""
_MAX_SEEN: Final = 64


@dataclass(frozen=True, slots=True)
class Declared:
    """What a tool's author says: the effect, and the resource as a template over the arguments."""

    effect: str | None = None
    resource: str | None = None

    @property
    def resource_type(self) -> str | None:
        """The part before the first slash."""
        return None if self.resource is None else self.resource.partition("/")[0]

    def resource_id(self, arguments: Any) -> str | None:
        """The template filled in; None if it has no id, or an argument is missing or no text or number."""
        if self.resource is None or "/" not in self.resource:
            return None
        parts: list[str] = []
        for text, name, _, _ in string.Formatter().parse(self.resource):
            parts.append(text)
            if name is None:
                continue
            given = cast("Mapping[str, Any]", arguments).get(name) if isinstance(arguments, Mapping) else None
            if not isinstance(given, str | int) or isinstance(given, bool) or given == "":
                return None
            parts.append(str(given))
        filled = "".join(parts)
        # A cut id would be another one's.
        return filled if len(filled) <= MAX_VALUE_CHARS else None


NOTHING: Final = Declared()
_found: Final[ByObject[Declared]] = ByObject()


def tool_effect(*, resource: str | None = None, effect: ActionEffect | str | None = None) -> Callable[[T], T]:
    """Declare what a tool acts on and what it does to it, for a function or for a framework's tool.

    `resource`: its type, or its type and id with arguments' names in braces: `"order/{order_id}"`. The id is
    then recorded, so name no argument that holds a secret. `effect`: one of `values.ActionEffect`. Raises
    ValueError for another effect, and for a resource that cannot be filled in. Works below or above a
    framework's own decorator, whose tool it leaves as it is.
    """
    declared = Declared(None if effect is None else ActionEffect(effect).value, _checked(resource))

    def decorate(tool: T) -> T:
        if inspect.isfunction(tool) and not _is_generator(tool):
            return cast("T", _wrapped(tool, declared))
        try:
            setattr(tool, MARK, declared)
        except (AttributeError, TypeError, ValueError):  # a tool that takes no further attributes
            _found.set(tool, declared)
        return tool

    return decorate


def declared(tool: Any) -> Declared:
    """What the author of a framework's tool, or of the function in it, declared; NOTHING if nobody did."""
    if tool is None:
        return NOTHING
    known = _found.get(tool)
    if known is None:
        known = next((mark for mark in _marks(tool) if isinstance(mark, Declared)), NOTHING)
        _found.set(tool, known)
    return known


def _checked(resource: str | None) -> str | None:
    if resource is None:
        return None
    fields = [name for _, name, _, _ in string.Formatter().parse(resource) if name is not None]
    kind = resource.partition("/")[0]
    if not kind or "{" in kind or not all(name.isidentifier() for name in fields):
        raise ValueError(
            f'resource={resource!r}: write a type, or a type and an id, as in "order/{{order_id}}"'
        )
    return resource


def _is_generator(function: Any) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def _wrapped(function: Callable[..., Any], said: Declared) -> Callable[..., Any]:
    """The function itself says it as well: frameworks do not always keep it where it can be found."""
    signature = inspect.signature(function)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            with _saying(said, signature, args, kwargs):
                return await function(*args, **kwargs)

        setattr(run_async, MARK, said)
        return run_async

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with _saying(said, signature, args, kwargs):
            return function(*args, **kwargs)

    setattr(run, MARK, said)
    return run


def _saying(
    said: Declared, signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """A block in which the action says it; the action's own span too, if it is the current one."""
    known = current()
    try:
        arguments = signature.bind(*args, **kwargs).arguments
    except TypeError:  # the call itself will say so
        arguments = {}
    told = {
        "action_effect": known.action_effect or said.effect,
        "resource_type": known.resource_type or said.resource_type,
        "resource_id": known.resource_id or said.resource_id(arguments),
    }
    span = get_current_span()
    if known.action_id is None or not span.is_recording():
        return attached(with_attribution(known.changed(**told) if known.action_id else known))
    attributes = {
        names.ATTRIBUTION_ACTION_EFFECT: told["action_effect"],
        names.ATTRIBUTION_RESOURCE_TYPE: told["resource_type"],
        names.ATTRIBUTION_RESOURCE_ID: told["resource_id"],
    }
    span.set_attributes({name: value for name, value in attributes.items() if value is not None})
    return attached(with_attribution(known.changed(**told)))


def _marks(tool: Any) -> Iterator[Any]:
    """Every mark on a tool and on the functions in it, nearest first; bounded, and no property is trusted."""
    waiting, seen = [tool], set[int]()
    while waiting and len(seen) < _MAX_SEEN:
        here = waiting.pop(0)
        if here is None or id(here) in seen:
            continue
        seen.add(id(here))
        if (mark := _attribute(here, MARK)) is not None:
            yield mark
        waiting += [inner for name in _INNER if callable(inner := _attribute(here, name))]
        for cell in getattr(here, "__closure__", None) or ():
            try:
                inner = cell.cell_contents
            except ValueError:  # not filled in yet
                continue
            if inspect.isfunction(inner) or inspect.iscoroutinefunction(inner):
                waiting.append(inner)


def _attribute(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name, None)
    except Exception:  # noqa: BLE001 a property of the host's that is not ready
        return None


def of_hints(read_only: bool | None, destructive: bool | None) -> str | None:
    """What an MCP server's hints say; the protocol's defaults for what is left out are no statement.

    "Destructive" is an overwrite as well as a deletion, so it is no more than `write`.
    """
    if read_only:
        return ActionEffect.READ.value
    return ActionEffect.WRITE.value if read_only is False or destructive is not None else None
