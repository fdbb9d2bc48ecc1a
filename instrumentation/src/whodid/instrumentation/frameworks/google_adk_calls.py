"""Google's ADK: its tool calls and confirmations.

The framework's span of a call is made before its callbacks and confirmations, and so before any decision, and
calls itself the execution of a tool whatever becomes of the call. Here it is the call, and what ran is a span
inside of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.context import get_value, set_value
from opentelemetry.trace import get_current_span

from whodid.instrumentation.context import Attribution, current
from whodid.instrumentation.core import Action, ToolCall, approval_requested, approval_resolved
from whodid.instrumentation.frameworks.seam import argument, decide, quietly
from whodid.instrumentation.streams import attached
from whodid.instrumentation.weakly import ByObject
from whodid.semconv import attributes as names

ADAPTER: Final = "google_adk"
_CALL: Final = "whodid.google_adk.call"
_UNRECORDED: Final = "an answer to a request for confirmation could not be recorded"
MAX_TRANSFERS: Final = 4096
_definitions: Final[ByObject[dict[str, Any]]] = ByObject()
# Who handed over, by the invocation and the next agent: it runs beside the one before, not inside of it.
_transfers: OrderedDict[tuple[str, str], Attribution] = OrderedDict()


@dataclass(slots=True)
class _Call:
    """One call that the framework has a span for."""

    tool: Any
    arguments: Any
    action: Action | None = None
    did_run: bool = False
    was_answered: bool = False

    def read(self, context: Any) -> ToolCall:
        """The call as it is now: the host's callbacks may change the arguments."""
        definition = _definition(self.tool)
        return ToolCall(
            name=str(self.tool.name),
            call_id=context.function_call_id,
            arguments=self.arguments,
            description=definition.get("description"),
            definition=definition or None,
            tool=self.tool,
        )


def _definition(tool: Any) -> dict[str, Any]:
    """What the model was told of a tool; nothing for one that the model's provider runs itself."""
    if (known := _definitions.get(tool)) is not None:
        return known
    declared = tool._get_declaration()
    found: dict[str, Any] = {} if declared is None else declared.model_dump(mode="json", exclude_none=True)
    _definitions.set(tool, found)
    return found


def recording(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the framework's span of a call."""
    call = _Call(argument(args, kwargs, 0, "tool"), argument(args, kwargs, 2, "function_args"))
    return _within(call, wrapped(*args, **kwargs))


@asynccontextmanager
async def _within(call: _Call, native: Any) -> AsyncGenerator[Any]:
    with attached(set_value(_CALL, call)):
        async with native as scope:
            yield scope


def described(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the end of that span, where it is said what it was."""
    call = get_value(_CALL)
    if not isinstance(call, _Call):
        return wrapped(*args, **kwargs)
    if not call.did_run:
        return None
    done = wrapped(*args, **kwargs)
    if call.action is not None:  # else nothing of ours says that it ran
        span = argument(args, kwargs, 4, "span") or get_current_span()
        span.set_attribute(names.GEN_AI_OPERATION_NAME, "")
    return done


async def call_tool(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the tool itself."""
    context, known = argument(args, kwargs, 2, "tool_context"), get_value(_CALL)
    fresh = _Call(argument(args, kwargs, 0, "tool"), argument(args, kwargs, 1, "args"))
    call = known if isinstance(known, _Call) else fresh
    quietly(ADAPTER, _UNRECORDED, lambda: _answer(call, context))
    action = decide(ADAPTER, lambda: fresh.read(context))
    if action is not None and action.denial is not None:
        return {"error": action.denial}
    call.did_run, call.action = True, action
    if action is None:
        return await wrapped(*args, **kwargs)
    with action.executing():
        result = await wrapped(*args, **kwargs)
        action.result(result)
    quietly(ADAPTER, "a transfer could not be noted", lambda: _note_transfer(context))
    return result


def _note_transfer(context: Any) -> None:
    if (target := context.actions.transfer_to_agent) is not None:
        _transfers[context.invocation_id, target] = current()
        while len(_transfers) > MAX_TRANSFERS:
            _transfers.popitem(last=False)


def came_from(context: Any, agent: str) -> Attribution:
    """For whom an agent starts in this invocation: for the one that handed over to it, if any did."""
    return _transfers.pop((getattr(context, "invocation_id", ""), agent), current())


async def gate(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the framework's look whether a call must wait for a confirmation, or has it."""
    call, context = get_value(_CALL), argument(args, kwargs, 2, "tool_context")
    if isinstance(call, _Call):
        quietly(ADAPTER, _UNRECORDED, lambda: _answer(call, context))
    return await wrapped(*args, **kwargs)


def _answer(call: _Call, context: Any) -> None:
    """The user's answer comes back with the call that waited for it, which is made again."""
    confirmation = context.tool_confirmation
    if confirmation is not None and not call.was_answered:
        call.was_answered = True
        approval_resolved(call.read(context), bool(confirmation.confirmed), adapter=ADAPTER)


def requested(wrapped: Any, context: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around a request for confirmation, by the framework or by a tool at work."""
    done, call = wrapped(*args, **kwargs), get_value(_CALL)
    if isinstance(call, _Call):
        quietly(ADAPTER, "a request for confirmation could not be noted", lambda: _ask(call, context))
    return done


def _ask(call: _Call, context: Any) -> None:
    if call.action is None:
        approval_requested(call.read(context))
    else:  # before 2.12 the framework itself asks in here as well, instead of running the tool
        call.action.waits_for_approval()
