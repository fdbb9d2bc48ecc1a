"""The client libraries of OpenAI and Anthropic: each call of a model, unless others have hooked it."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any, Final

import wrapt

from whodid.instrumentation import models
from whodid.instrumentation.frameworks.seam import quietly
from whodid.instrumentation.hooks import Hooks, Wrapper
from whodid.instrumentation.scopes import Scope

_FAILED: Final = "a model's call could not be recorded"


class OpenAI(Hooks):
    """Hooks chat completions and responses."""

    name = "openai"
    distribution = "openai"
    modules = ("openai.resources.chat.completions.completions", "openai.resources.responses.responses")

    def hook(self, module: ModuleType) -> None:
        """Wrap `create`, which the raw and the streaming forms go through as well."""
        is_chat = module.__name__.endswith("completions")
        _wrap(
            self, module, ("Completions", "AsyncCompletions") if is_chat else ("Responses", "AsyncResponses")
        )


class Anthropic(Hooks):
    """Hooks messages."""

    name = "anthropic"
    distribution = "anthropic"
    modules = ("anthropic.resources.messages.messages", "anthropic.resources.beta.messages.messages")

    def hook(self, module: ModuleType) -> None:
        """Wrap `create`."""
        _wrap(self, module, ("Messages", "AsyncMessages"))


CLIENTS: Final = (OpenAI, Anthropic)


def install() -> None:
    """Install the hooks of both; nothing is imported."""
    for client in CLIENTS:
        client().install()


def _wrap(adapter: Hooks, module: ModuleType, classes: tuple[str, ...]) -> None:
    for name in classes:
        owner: Any = getattr(module, name, None)
        # Another instrumentation was there first: its span would be a second one inside of ours.
        if owner is None or isinstance(inspect.getattr_static(owner, "create"), wrapt.ObjectProxy):
            continue
        is_async = inspect.iscoroutinefunction(inspect.unwrap(owner.create))
        adapter.wrap(module, f"{name}.create", (_acreate if is_async else _create)(adapter.name))


def _create(adapter: str) -> Wrapper:
    def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        scope = quietly(adapter, _FAILED, lambda: _start(adapter, instance, kwargs))
        if scope is None:
            return wrapped(*args, **kwargs)
        try:
            with scope.attached():
                answer = wrapped(*args, **kwargs)
        except BaseException as error:
            scope.finish(error)
            raise
        quietly(adapter, _FAILED, lambda: _answered(scope, answer))
        return answer

    return wrapper


def _acreate(adapter: str) -> Wrapper:
    async def wrapper(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        scope = quietly(adapter, _FAILED, lambda: _start(adapter, instance, kwargs))
        if scope is None:
            return await wrapped(*args, **kwargs)
        try:
            with scope.attached():
                answer = await wrapped(*args, **kwargs)
        except BaseException as error:
            scope.finish(error)
            raise
        quietly(adapter, _FAILED, lambda: _answered(scope, answer))
        return answer

    return wrapper


def _start(adapter: str, resource: Any, kwargs: dict[str, Any]) -> Scope | None:
    client = getattr(resource, "_client", None)
    provider = "azure.ai.openai" if type(client).__name__.endswith("AzureOpenAI") else adapter
    key = getattr(client, "api_key", None) or getattr(client, "auth_token", None)
    return models.start(adapter, provider, kwargs.get("model"), models.fingerprint(key))


def _closing(scope: Scope, close: Any) -> Any:
    """A stream that is left early is closed; it refers to itself, so that its end may be long in coming."""

    def run(*args: Any, **kwargs: Any) -> Any:
        scope.finish()
        return close(*args, **kwargs)

    return run


def _answered(scope: Scope, answer: Any) -> None:
    """Note what came. A stream's span ends with the stream; that of anything else ends now."""
    try:
        # A raw answer is parsed once and keeps what it was parsed to.
        parsed = (
            answer.parse() if hasattr(answer, "http_response") and not hasattr(answer, "usage") else answer
        )
        inner: Any = getattr(parsed, "_iterator", None)
        if hasattr(inner, "__anext__") or hasattr(inner, "__next__"):
            follow = models.anoted if hasattr(inner, "__anext__") else models.noted
            parsed._iterator = follow(scope, inner)
            parsed.close = _closing(scope, parsed.close)
            return
        models.note(scope, parsed)
    except Exception:
        scope.finish()
        raise
    scope.finish()
