"""`with attribution(...)`: the developer says for whom and why; a context manager and a decorator."""

from __future__ import annotations

import functools
import inspect
import logging
import uuid
from collections.abc import Callable
from contextvars import Token
from types import TracebackType
from typing import Any, Final, TypeVar, cast

from opentelemetry.context import Context, attach, detach, get_current

from whodid.instrumentation import settings
from whodid.instrumentation.context import (
    NOTHING_KNOWN,
    Attribution,
    Credential,
    current,
    with_attribution,
)
from whodid.instrumentation.digest import sha256_text
from whodid.instrumentation.streams import ContextAsyncIterator, ContextIterator, Finish, attached

_log = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])
MAX_VALUE_CHARS: Final = 1024
"""A longer id is no id. It is then missing: cut, it could be another one's."""


def derive(
    base: Attribution,
    *,
    principal: str | None = None,
    principal_type: str | None = None,
    initiator: str | None = None,
    initiator_type: str | None = None,
    task: str | None = None,
    objective: str | None = None,
    correlation_id: str | None = None,
    session_id: str | None = None,
    conversation_id: str | None = None,
    identity: str | None = None,
    identity_type: str | None = None,
    identity_issuer: str | None = None,
    credential: Credential | None = None,
) -> Attribution:
    """The attribution of a block inside one that has `base`. What is neither given nor inherited is None.

    Another principal starts a new chain, without the agent, credential and action of the one before.
    """
    changes: dict[str, Any] = {}
    if principal is not None and principal != base.principal_id:
        base = _for_another(base)
        changes |= {"principal_id": principal, "principal_type": principal_type, "chain": (principal,)}
    elif principal_type is not None:
        changes["principal_type"] = principal_type
    if initiator is not None and initiator != base.initiator_id:
        changes |= {"initiator_id": initiator, "initiator_type": initiator_type}
    elif initiator_type is not None:
        changes["initiator_type"] = initiator_type
    if identity is not None:
        changes |= {
            "identity_id": identity,
            "identity_type": identity_type,
            "identity_issuer": identity_issuer,
        }
    changes |= _task(base, task, objective)
    others = {
        "correlation_id": correlation_id,
        "session_id": session_id,
        "conversation_id": conversation_id,
        "credential": credential,
    }
    changes |= {name: value for name, value in others.items() if value is not None}
    return base.changed(**{name: _bounded(name, value) for name, value in changes.items()})


def _for_another(base: Attribution) -> Attribution:
    return NOTHING_KNOWN.changed(
        initiator_type=base.initiator_type,
        initiator_id=base.initiator_id,
        task_id=base.task_id,
        task_parent_id=base.task_parent_id,
        objective_hash=base.objective_hash,
        objective_text=base.objective_text,
        correlation_id=base.correlation_id,
        session_id=base.session_id,
        conversation_id=base.conversation_id,
        identity_id=None if base.remote else base.identity_id,
        identity_type=None if base.remote else base.identity_type,
        identity_issuer=None if base.remote else base.identity_issuer,
    )


def _task(base: Attribution, task: str | None, objective: str | None) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if task is not None and task != base.task_id:
        # Another task has an objective of its own; the one of its parent would be a wrong answer to "why".
        changes |= {
            "task_id": task,
            "task_parent_id": base.task_id,
            "objective_hash": None,
            "objective_text": None,
        }
    elif task is None and base.task_id is None:
        changes["task_id"] = uuid.uuid4().hex
    if objective is not None:
        changes["objective_hash"] = sha256_text(objective)
        changes["objective_text"] = None
        if settings.current().capture_content:
            from whodid.instrumentation import (
                redaction,
            )  # its patterns are compiled where content is captured

            changes["objective_text"] = redaction.redact(objective)
    return changes


def _bounded(name: str, value: Any) -> Any:
    if name in ("credential", "objective_text") or value is None:
        return value
    if isinstance(value, tuple):
        return tuple(item for item in cast("tuple[Any, ...]", value) if len(str(item)) <= MAX_VALUE_CHARS)
    text = str(value)
    if len(text) > MAX_VALUE_CHARS:
        _log.warning("whodid: %s is longer than %d characters, so it is left out", name, MAX_VALUE_CHARS)
        return None
    return text


class attribution:  # noqa: N801 reads as the function that it is used as
    """Say for whom, and why, what happens in this block does.

    `principal` is whose authority is exercised, `initiator` what launched the task: often the same, never
    assumed to be. `task` is an id of yours; without one, the block around says which task it is, or an id is
    made. `objective` is recorded as a hash. The block inherits what it does not say.

    Also a decorator, for functions, coroutine functions and generator functions: each call is then a block.
    """

    def __init__(
        self,
        *,
        principal: str | None = None,
        principal_type: str | None = None,
        initiator: str | None = None,
        initiator_type: str | None = None,
        task: str | None = None,
        objective: str | None = None,
        correlation_id: str | None = None,
        session_id: str | None = None,
        conversation_id: str | None = None,
        identity: str | None = None,
        identity_type: str | None = None,
        identity_issuer: str | None = None,
        credential: Credential | None = None,
    ) -> None:
        self._given: dict[str, Any] = {
            "principal": principal,
            "principal_type": principal_type,
            "initiator": initiator,
            "initiator_type": initiator_type,
            "task": task,
            "objective": objective,
            "correlation_id": correlation_id,
            "session_id": session_id,
            "conversation_id": conversation_id,
            "identity": identity,
            "identity_type": identity_type,
            "identity_issuer": identity_issuer,
            "credential": credential,
        }
        # Several tasks can enter one object at once, so each entry's token is kept by its own Context.
        self._tokens: dict[int, tuple[Context, Token[Context]]] = {}

    def __enter__(self) -> Attribution:
        context = self._context()
        self._tokens[id(context)] = (context, attach(context))
        return current(context)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        held = self._tokens.pop(id(get_current()), None)
        if held is None and self._tokens and kind is not GeneratorExit:
            # Something inside attached a Context and did not take it off again: ours still has to go.
            held = self._tokens.popitem()[1]
        if held is not None:
            detach(held[1])

    def __call__(self, function: F) -> F:
        """Make every call of the function such a block."""
        return cast("F", _decorated(function, self._context))

    def _context(self) -> Context:
        return with_attribution(derive(current(), **self._given))


def _decorated(function: Callable[..., Any], make_context: Callable[[], Context]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run_async(*args: Any, **kwargs: Any) -> Any:
            with attached(make_context()):
                return await function(*args, **kwargs)

        return run_async

    def open_() -> tuple[Context, Finish]:
        return make_context(), lambda _error: None

    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        def run_async_generator(*args: Any, **kwargs: Any) -> Any:
            return ContextAsyncIterator(lambda: function(*args, **kwargs), open_)

        return run_async_generator
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def run_generator(*args: Any, **kwargs: Any) -> Any:
            return ContextIterator(lambda: function(*args, **kwargs), open_)

        return run_generator

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with attached(make_context()):
            return function(*args, **kwargs)

    return run
