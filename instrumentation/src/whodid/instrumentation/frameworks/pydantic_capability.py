"""pydantic-ai: the capabilities that every run is given: the run as an agent at work, its tools as actions.

Where the framework's own instrumentation is on, its spans are completed by stamping, and none is made twice.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import cache
from typing import Any, Final

from opentelemetry.context import get_value, set_value
from opentelemetry.trace import NoOpTracer, get_current_span

from whodid.instrumentation.core import Action, ToolCall, agent_start, approval_requested, approval_resolved
from whodid.instrumentation.frameworks.seam import decide, quietly
from whodid.instrumentation.streams import attached

ADAPTER: Final = "pydantic_ai"
_ACTION: Final = "whodid.pydantic_ai.action"
Handler = Callable[..., Awaitable[Any]]


def capabilities(answers: Any = None) -> list[Any]:
    """The capabilities for one run, which may go on with answers to requests for approval."""
    attributed, described = (kind() for kind in _classes())
    attributed.answers = answers
    return [attributed, described]


@cache
def _classes() -> tuple[Any, ...]:
    """The capabilities' classes: not before the host has imported the framework, whose class they extend."""
    from pydantic_ai.capabilities import AbstractCapability
    from pydantic_ai.capabilities.abstract import CapabilityOrdering
    from pydantic_ai.capabilities.instrumentation import Instrumentation

    base: Any = AbstractCapability

    class Attributed(base):
        """Outside of all others: what a policy is asked about is what the model wanted."""

        answers: Any = None
        _safe_at_runtime = True  # it brings no tools and no model, so a durable run takes it too

        def get_ordering(self) -> Any:
            return CapabilityOrdering(position="outermost", wraps=[Instrumentation])

        async def wrap_run(self, ctx: Any, *, handler: Handler) -> Any:
            if self.answers is not None:
                note_answers(self.answers, _calls(ctx.messages))
            return await _run(ctx, handler)

        async def wrap_tool_execute(
            self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Handler
        ) -> Any:
            return await _tool(
                ctx,
                lambda: read_call(call, tool_def=tool_def, tool=_schema(ctx, call)),
                args,
                handler,
                _denied,
            )

        async def wrap_output_process(
            self, ctx: Any, *, output_context: Any, output: Any, handler: Handler
        ) -> Any:
            if not output_context.has_function:
                return await handler(output)
            return await _tool(ctx, lambda: _read_output(output_context, output), output, handler, _retry)

    class Described(base):
        """Inside of all others, where the framework's own span of a call is the current one."""

        _safe_at_runtime = True

        def get_ordering(self) -> Any:
            return CapabilityOrdering(position="innermost")

        async def wrap_tool_execute(self, ctx: Any, *, args: Any, handler: Handler, **_: Any) -> Any:
            action = get_value(_ACTION)
            if _is_native(ctx) and isinstance(action, Action):
                quietly(ADAPTER, "a tool could not be described", lambda: action.describe(get_current_span()))
            return await handler(args)

    return Attributed, Described


async def _run(ctx: Any, handler: Handler) -> Any:
    """The framework carries the Context on to the task in which the run's body is at work, and back."""
    run = quietly(
        ADAPTER,
        "an agent's span could not be started",
        lambda: agent_start(
            str((ctx.agent and ctx.agent.name) or "agent"),
            adapter=ADAPTER,
            conversation_id=ctx.conversation_id,
            native=_is_native(ctx),
        ),
    )
    if run is None:
        return await handler()
    with run.attached():
        try:
            result = await handler()
        except BaseException as error:
            run.finish(None if _is_left_early(error) else error)
            raise
        note_requests(getattr(getattr(result, "output", None), "approvals", None) or ())
        run.finish()
        return result


def _is_left_early(error: BaseException) -> bool:
    """Where its consumer leaves, the framework cancels this task; a run that is cancelled raises in it."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


async def _tool(
    ctx: Any, read: Callable[[], ToolCall], args: Any, handler: Handler, denied: Callable[[str], Any]
) -> Any:
    action = decide(ADAPTER, read)
    if action is None:
        return await handler(args)
    if action.denial is not None:
        return denied(action.denial)
    errors = sys.modules["pydantic_ai.exceptions"]
    control_flow = (errors.ApprovalRequired, errors.CallDeferred, errors.SkipToolExecution)
    with action.executing(control_flow, native=_is_native(ctx)), attached(set_value(_ACTION, action)):
        try:
            result = await handler(args)
        except errors.ApprovalRequired:
            quietly(ADAPTER, "a request for approval could not be recorded", action.waits_for_approval)
            raise
        action.result(getattr(result, "return_value", result))
        return result


def _is_native(ctx: Any) -> bool:
    """Whether the framework instruments this run itself."""
    return not isinstance(ctx.tracer, NoOpTracer)


def _schema(ctx: Any, call: Any) -> Any:
    """What holds a tool's function, where it is one and the version lets it be seen."""
    tools: Any = getattr(getattr(ctx, "tool_manager", None), "tools", None) or {}
    return getattr(getattr(tools.get(call.tool_name), "call_func", None), "__self__", None)


def read_call(part: Any, arguments: Any = None, *, tool_def: Any = None, tool: Any = None) -> ToolCall:
    """A call as the model made it, or with the arguments that were approved instead."""
    definition = tool_def and {
        "name": tool_def.name,
        "description": tool_def.description,
        "parameters": tool_def.parameters_json_schema,
    }
    return ToolCall(
        name=part.tool_name,
        call_id=part.tool_call_id,
        arguments=part.args_as_dict() if arguments is None else arguments,
        description=tool_def and tool_def.description,
        definition=definition,
        tool=tool,
    )


def _read_output(context: Any, output: Any) -> ToolCall:
    """A function that makes the agent's output is the model's choice, too, and may hand off to an agent."""
    from pydantic_core import to_jsonable_python

    call, name = context.tool_call, context.function_name or "output_function"
    given = to_jsonable_python(output)
    return ToolCall(
        name=call.tool_name if call else name,
        call_id=call and call.tool_call_id,
        arguments=given if isinstance(given, dict) else {"output": given},
    )


def _denied(denial: str) -> Any:
    """What the framework tells a model whose call somebody refused; its older versions know a result only."""
    execution = sys.modules.get("pydantic_ai._tool_execution")
    if not hasattr(execution, "build_tool_return_part"):
        return denial
    return sys.modules["pydantic_ai.tools"].ToolDenied(message=denial)


def _retry(denial: str) -> Any:
    """No output without it: the model is told, and may give another one."""
    raise sys.modules["pydantic_ai.exceptions"].ModelRetry(denial)


def note_requests(parts: Iterable[Any]) -> None:
    """These calls wait for an approval."""
    what = "requests for approval could not be recorded"
    quietly(ADAPTER, what, lambda: [approval_requested(read_call(part)) for part in parts])


def note_answers(answers: Any, parts: Iterable[Any]) -> None:
    """`DeferredToolResults`, or None, about some of these calls."""
    what = "answers to requests for approval could not be recorded"
    if answers is not None:
        quietly(ADAPTER, what, lambda: _answer(answers, {part.tool_call_id: part for part in parts}))


def _answer(answers: Any, waiting: dict[str, Any]) -> None:
    for call_id, said in answers.approvals.items():
        if (part := waiting.get(call_id)) is not None:
            granted = said is True or getattr(said, "kind", None) == "tool-approved"
            call = read_call(part, getattr(said, "override_args", None))
            approval_resolved(call, granted, adapter=ADAPTER)


def _calls(messages: Iterable[Any]) -> Iterator[Any]:
    return (part for message in messages for part in message.parts if part.part_kind == "tool-call")
