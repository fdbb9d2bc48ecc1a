"""openai-agents: function tools and approvals; what installs it. Its runs are in `openai_runs`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from opentelemetry.context import get_value, set_value

from whodid.instrumentation import frameworks
from whodid.instrumentation.core import ToolCall, approval_resolved, at_work
from whodid.instrumentation.frameworks.openai_runs import (
    ADAPTER,
    agent_span,
    run,
    run_streamed,
    streaming,
    waiting,
)
from whodid.instrumentation.frameworks.seam import argument, decide, quietly
from whodid.instrumentation.hooks import Wrapper
from whodid.instrumentation.streams import attached

_ANSWERING: Final = "whodid.openai_agents.answering"


class Instrumentor(frameworks.Instrumentor):
    """Hooks the SDK's run loop."""

    name = ADAPTER
    distribution = "openai-agents"
    tested = ("0.22.0", "0.24.0")
    modules = (
        "agents.run_internal.tool_execution",
        "agents.run_internal.run_loop",
        "agents.run",
        "agents.run_state",
    )

    def hook(self, module: ModuleType) -> None:
        """Wrap what each of the modules has to offer."""
        match module.__name__.rpartition(".")[2]:
            case "tool_execution":
                self._hook_tools(module)
            case "run_loop":
                self.wrap(module, "agent_span", agent_span)
            case "run":
                self.wrap(module, "agent_span", agent_span)
                self.wrap(module, "AgentRunner.run", run)
                self.wrap(module, "AgentRunner.run_streamed", run_streamed)
                self.wrap(module, "start_streaming", streaming)
            case _:
                self.wrap(module, "RunState.approve", _answered(granted=True))
                self.wrap(module, "RunState.reject", _answered(granted=False))

    def _hook_tools(self, module: ModuleType) -> None:
        tool = sys.modules["agents.tool"]
        result = getattr(tool, "_FunctionToolInvocationResult", None)
        # Versions without the result's class give the tool's bare output back, and so does a denial there.
        seam = "invoke_function_tool" if result is None else "_invoke_function_tool_with_metadata"
        wrapper = _invoke(str if result is None else lambda text: result(text, is_sdk_generated_error=True))
        for holder in (tool, module):  # the second has the name by import
            self.wrap(holder, seam, wrapper)
        for holder in (tool, module):
            self.wrap(holder, "maybe_invoke_function_tool_failure_error_function", _failed)


def _invoke(denied: Callable[[str], Any]) -> Wrapper:
    """Around one call of a function tool, after its approval and its guardrails."""

    async def wrapper(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        action = decide(
            ADAPTER, lambda: _call(kwargs["function_tool"], kwargs["context"], kwargs["arguments"])
        )
        if action is None:
            return await wrapped(*args, **kwargs)
        if action.denial is not None:
            return denied(action.denial)
        with action.executing():
            result = await wrapped(*args, **kwargs)
            action.result(getattr(result, "output", result))
            return result

    return wrapper


def _call(tool: Any, context: Any, arguments: str) -> ToolCall:
    return ToolCall(
        name=tool.name,
        call_id=context.tool_call_id,
        arguments=arguments,
        description=tool.description,
        definition={
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.params_json_schema,
        },
        tool=tool,
    )


async def _failed(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The SDK makes a text for the model of a tool's exception, which is then seen nowhere else."""
    action = at_work()
    call_id = getattr(kwargs.get("context"), "tool_call_id", None)
    if action is not None and action.call.call_id == call_id and (error := kwargs.get("error")) is not None:
        action.failed(error)
    return await wrapped(*args, **kwargs)


def _answered(*, granted: bool) -> Wrapper:
    """Around `approve` and `reject`, which call themselves for an agent that was called as a tool."""

    def wrapper(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if get_value(_ANSWERING):
            return wrapped(*args, **kwargs)
        with attached(set_value(_ANSWERING, True)):
            done = wrapped(*args, **kwargs)
        item = argument(args, kwargs, 0, "approval_item")
        quietly(
            ADAPTER,
            "an answer to a request for approval could not be recorded",
            lambda: approval_resolved(waiting(item), granted, adapter=ADAPTER),
        )
        return done

    return wrapper
