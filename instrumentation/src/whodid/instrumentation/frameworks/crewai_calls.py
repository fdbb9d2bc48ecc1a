"""CrewAI: its tool calls, from the framework's hooks before a call over the tool to the hooks after it.

The decision comes after the host's own hooks, which may ask a human or change the arguments, and before the
framework looks into its cache of results. What runs a tool outside of all that is decided on where it runs.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from whodid.instrumentation.core import Action, ToolCall, approval_requested, approval_resolved, in_action
from whodid.instrumentation.frameworks.seam import argument, decide, quietly
from whodid.instrumentation.weakly import ByObject

ADAPTER: Final = "crewai"
_definitions: Final[ByObject[dict[str, Any]]] = ByObject()


@dataclass(slots=True)
class _Call:
    """A call on its way through the framework: hooks before it, the tool, hooks after it."""

    name: str
    call_id: str | None = None
    tool: Any = None
    arguments: Any = None
    did_ask: bool = False
    action: Action | None = None

    def read(self) -> ToolCall:
        """The call as it is now."""
        definition = _definition(self.name, self.tool)
        return ToolCall(
            name=self.name,
            call_id=self.call_id,
            arguments=self.arguments,
            description=definition.get("description"),
            definition=definition or None,
            tool=self.tool,
        )


# From one of the framework's steps to the next, all in one task or thread; whose the call is, is not in it.
_current: ContextVar[_Call | None] = ContextVar("whodid_crewai_call", default=None)


def _definition(name: str, tool: Any) -> dict[str, Any]:
    if tool is None:
        return {}
    if (known := _definitions.get(tool)) is not None:
        return known
    schema: Any = tool.args_schema.model_json_schema() if tool.args_schema else {}
    found = {"name": name, "description": tool.description, "parameters": schema}
    _definitions.set(tool, found)
    return found


def identified(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the reading of what a model wrote: the call's id is nowhere else."""
    found = wrapped(*args, **kwargs)
    if found:
        _current.set(_Call(name=str(found[1]), call_id=str(found[0])))
    return found


def executed(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the way of one call through an executor that reads what a model wrote by itself."""
    name = str(argument(args, kwargs, 1, "func_name"))
    _current.set(_Call(name=name, call_id=str(argument(args, kwargs, 0, "call_id"))))
    return wrapped(*args, **kwargs)


def before(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the host's hooks before a call; true stops it."""
    context, known = argument(args, kwargs, 0, "context"), _current.get()
    call = known if known is not None and known.name == context.tool_name else _Call(context.tool_name)
    call.tool, call.arguments = context.tool, context.tool_input
    _current.set(call)
    is_blocked = wrapped(*args, **kwargs)
    if call.did_ask:
        what = "a human's answer could not be recorded"
        quietly(ADAPTER, what, lambda: approval_resolved(call.read(), not is_blocked, adapter=ADAPTER))
    if not is_blocked:
        call.action = decide(ADAPTER, call.read)
    return is_blocked or (call.action is not None and call.action.denial is not None)


def after(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the host's hooks after a call: the model is told why it was denied."""
    call = _current.get()
    _current.set(None)
    told = wrapped(*args, **kwargs)
    denial = call.action.denial if call is not None and call.action is not None else None
    return told if denial is None else denial


def asked(wrapped: Any, context: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around a hook's question to a human, whose answer is whether the hook lets the call through."""
    call = _current.get()
    if call is not None and call.name == context.tool_name:
        call.did_ask = True
        quietly(ADAPTER, "a question could not be recorded", lambda: approval_requested(call.read()))
    return wrapped(*args, **kwargs)


def run(wrapped: Any, tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the tool itself."""
    if in_action():  # the rest of the way to the tool's function, or a tool's body at work
        return wrapped(*args, **kwargs)
    action = _decided(tool, args, kwargs)
    if action is None:
        return wrapped(*args, **kwargs)
    if action.denial is not None:
        return action.denial
    with action.executing():
        return _finished(action, wrapped(*args, **kwargs))


async def run_async(wrapped: Any, tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The same for a tool that is awaited."""
    if in_action():
        return await wrapped(*args, **kwargs)
    action = _decided(tool, args, kwargs)
    if action is None:
        return await wrapped(*args, **kwargs)
    if action.denial is not None:
        return action.denial
    with action.executing():
        return _finished(action, await wrapped(*args, **kwargs))


def _decided(tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Action | None:
    """What was decided before the framework came here; what it did not ask for is decided now."""
    call = _current.get()
    name = sys.modules["crewai.utilities.string_utils"].sanitize_tool_name(tool.name)
    if call is not None and call.name == name and call.action is not None:
        _current.set(None)
        return call.action
    given: Any = kwargs.get("input", args[0] if args else kwargs)
    if not isinstance(given, str) and not hasattr(given, "keys"):
        given = {"input": given}
    return decide(ADAPTER, _Call(name, tool=tool, arguments=given).read)


def _finished(action: Action, result: Any) -> Any:
    failure = getattr(sys.modules.get("crewai.tools.tool_failure"), "ToolFailure", None)
    if failure is not None and isinstance(result, failure):
        action.failed("tool_error")
    action.result(result)
    return result
