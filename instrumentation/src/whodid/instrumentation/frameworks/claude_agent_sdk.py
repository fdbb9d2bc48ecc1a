"""claude-agent-sdk: gives hooks to every connection to its CLI; what they do is in `claude_session`.

The CLI runs the agent and its tools in another process, so all of this goes by what it says over its control
channel. Tools that run in this process are reached by the attribution in their requests' `_meta`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry.context import get_current, get_value, set_value

from whodid.instrumentation import frameworks, guard
from whodid.instrumentation.core import ContextAsyncIterator
from whodid.instrumentation.frameworks.claude_session import ADAPTER, Session
from whodid.instrumentation.frameworks.seam import argument, quietly

_OPENED: Final = "whodid.claude_agent_sdk.opened"
_sessions: Final[WeakKeyDictionary[Any, Session]] = WeakKeyDictionary()


class Instrumentor(frameworks.Instrumentor):
    """Hooks the connection that both `query` and `ClaudeSDKClient` make."""

    name = ADAPTER
    distribution = "claude-agent-sdk"
    tested = ("0.2.180", "0.2.189")
    modules = (
        "claude_agent_sdk._internal.query",
        "claude_agent_sdk._internal.client",
        "claude_agent_sdk.client",
    )

    def hook(self, module: ModuleType) -> None:
        """Wrap what makes a connection, reads and ends it, and what asks a client's next question."""
        match module.__name__.removeprefix("claude_agent_sdk."):
            case "client":
                self.wrap(module, "ClaudeSDKClient.query", _ask)
            case "_internal.client":
                self.wrap(module, "InternalClient.process_query", _stream)
            case _:
                self.wrap(module, "Query.__init__", _connect)
                self.wrap(module, "Query.receive_messages", _receive)
                self.wrap(module, "Query._handle_sdk_mcp_request", _mcp)
                self.wrap(module, "Query.close", _close)


def _connect(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    session = Session()
    what = "a connection could not be instrumented"
    ours = quietly(ADAPTER, what, lambda: {**kwargs, **_with_hooks(session, kwargs)})
    if ours is not None:
        kwargs, _sessions[instance] = ours, session
        opened = get_value(_OPENED)
        if isinstance(opened, list) and not opened:
            opened.append(session)  # pyright: ignore[reportUnknownMemberType]
    return wrapped(*args, **kwargs)


def _with_hooks(session: Session, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The host's hooks with ours before them, and its answers to requests for permission overheard."""
    given: dict[str, list[Any]] = kwargs.get("hooks") or {}
    hooks = {event: list(found) for event, found in given.items()}
    hooks["PermissionRequest"] = [
        {**matcher, "hooks": [session.overheard(callback) for callback in matcher["hooks"]]}
        for matcher in hooks.get("PermissionRequest", ())
    ]
    for event, callback in session.hooks().items():
        ours: dict[str, Any] = {"matcher": None, "hooks": [callback]}
        if event == "PreToolUse" and guard.enforcing():
            ours["on_failure"] = "block"  # no answer in time is none that allows
        hooks[event] = [ours, *hooks.get(event, ())]
    asked = kwargs.get("can_use_tool")
    return {"hooks": hooks, "can_use_tool": None if asked is None else session.can_use_tool(asked)}


def _receive(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    session = _sessions.get(instance)
    return wrapped(*args, **kwargs) if session is None else _results(session, wrapped(*args, **kwargs))


async def _results(session: Session, messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for message in messages:
        if message.get("type") == "result":
            quietly(ADAPTER, "a turn could not be ended", lambda message=message: session.result(message))
        yield message


async def _mcp(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around a request to a server of tools that runs in this process."""
    session = _sessions.get(instance)
    server, message = argument(args, kwargs, 0, "server_name"), argument(args, kwargs, 1, "message")
    if session is None:
        return await wrapped(*args, **kwargs)
    sent = quietly(ADAPTER, "attribution could not be sent along", lambda: session.sent(server, message))
    answer = await wrapped(server, sent or message)
    quietly(ADAPTER, "tools could not be read", lambda: session.listed(server, answer))
    return answer


async def _ask(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around a client's question: for whom it is, is known where it is asked, not where it connected."""
    connection = getattr(instance, "_query", None)
    session = None if connection is None else _sessions.get(connection)
    if session is not None:
        session.context = get_current()
    return await wrapped(*args, **kwargs)


async def _close(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return await wrapped(*args, **kwargs)
    finally:
        session = _sessions.get(instance)
        if session is not None:
            quietly(ADAPTER, "a connection could not be ended", session.close)


def _stream(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around what `query` reads: one that is dropped may never close its connection."""
    opened: list[Session] = []

    def end(error: BaseException | None) -> None:
        for session in opened:
            quietly(ADAPTER, "a connection could not be ended", lambda session=session: session.close(error))

    context = set_value(_OPENED, opened)
    return ContextAsyncIterator[Any](lambda: wrapped(*args, **kwargs), lambda: (context, end))
