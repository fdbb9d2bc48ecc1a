"""CrewAI: its agents at work, and what installs it. Its tool calls are in `crewai_calls`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable
from types import ModuleType
from typing import Any, Final

import wrapt

from whodid.instrumentation import frameworks, stamping
from whodid.instrumentation.core import AgentRun, agent_start, in_action, in_agent
from whodid.instrumentation.frameworks import crewai_calls as calls
from whodid.instrumentation.frameworks.crewai_calls import ADAPTER
from whodid.instrumentation.frameworks.seam import quietly

_BY_IMPORT: Final = {
    "run_before_tool_call_hooks": calls.before,
    "run_after_tool_call_hooks": calls.after,
    "extract_tool_call_info": calls.identified,
}
"""What an executor has by import, and calls by that name."""


class Instrumentor(frameworks.Instrumentor):
    """Hooks the agents, the tools, and where the framework runs its own hooks around a call."""

    name = ADAPTER
    distribution = "crewai"
    tested = ("1.15.3", "1.15.30")
    modules = (
        "crewai.telemetry.telemetry",
        "crewai.tools.base_tool",
        "crewai.tools.structured_tool",
        "crewai.agents.agent_executor",
        "crewai.agents.crew_agent_executor",  # before 1.15.29
        "crewai.experimental.agent_executor",  # the same
        "crewai.agent.core",
    )

    def hook(self, module: ModuleType) -> None:
        """Wrap what each of the modules has to offer."""
        # The framework writes another module's `__name__` into some of its own.
        match next((name for name in self.modules if sys.modules.get(name) is module), ""):
            case "crewai.telemetry.telemetry":
                self.wrap(module, "TracerProvider", _vendors_own)
            case "crewai.tools.base_tool":
                self.wrap(module, "BaseTool.run", calls.run)
                self.wrap(module, "Tool.run", calls.run)
            case "crewai.tools.structured_tool":
                self.wrap(module, "CrewStructuredTool.invoke", calls.run)
                self.wrap(module, "CrewStructuredTool.ainvoke", calls.run_async)
            case "crewai.agent.core":
                self.wrap(module, "Agent.execute_task", _work)
                self.wrap(module, "Agent.aexecute_task", _work_async)
                self.wrap(module, "Agent.kickoff", _work)
                self.wrap(module, "Agent.kickoff_async", _work_async)
            case _:
                self._hook_calls(module)

    def _hook_calls(self, executor: ModuleType) -> None:
        hooks, reading = sys.modules["crewai.hooks.tool_hooks"], sys.modules["crewai.utilities.agent_utils"]
        if not _is_hooked(
            getattr(reading, "extract_tool_call_info", None)
        ):  # by an executor that was imported before
            self.wrap(hooks, "ToolCallHookContext.request_human_input", calls.asked)
            for holder in (hooks, sys.modules["crewai.utilities.tool_utils"]):
                self.wrap(holder, "run_before_tool_call_hooks", calls.before)
                self.wrap(holder, "run_after_tool_call_hooks", calls.after)
            self.wrap(reading, "extract_tool_call_info", calls.identified)
        for name, wrapper in _BY_IMPORT.items():
            if (known := vars(executor).get(name)) is None:
                continue
            if _is_hooked(known):  # it has it from a module that was hooked before, and would keep it
                setattr(executor, name, known.__wrapped__)
            self.wrap(executor, name, wrapper)
        if hasattr(executor, "CrewAgentExecutor"):
            self.wrap(executor, "CrewAgentExecutor._execute_single_native_tool_call", calls.executed)


def _is_hooked(function: Any) -> bool:
    return isinstance(function, wrapt.FunctionWrapper)


def _vendors_own(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the making of the provider that reports to the framework's vendor: nobody is named there."""
    with stamping.left_alone():
        return wrapped(*args, **kwargs)


def _work(wrapped: Any, agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around one agent's work, which gives a coroutine where it was begun inside of an event loop."""
    run = _start(agent)
    if run is None:
        return wrapped(*args, **kwargs)
    try:
        with run.attached():
            result = wrapped(*args, **kwargs)
    except BaseException as error:
        run.finish(error)
        raise
    if inspect.isawaitable(result):
        return _awaited(run, result)
    run.finish()
    return result


async def _awaited(run: AgentRun, result: Awaitable[Any]) -> Any:
    with run.running():
        return await result


async def _work_async(wrapped: Any, agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around one agent's work in a coroutine."""
    run = _start(agent)
    if run is None:
        return await wrapped(*args, **kwargs)
    with run.running():
        return await wrapped(*args, **kwargs)


def _start(agent: Any) -> AgentRun | None:
    """The agent's span, started; none for a retry, which the framework makes inside of the agent's work."""
    what = "an agent's span could not be started"
    return quietly(ADAPTER, what, lambda: _begin(" ".join(str(agent.role).split())))


def _begin(name: str) -> AgentRun | None:
    if in_agent(name) and not in_action():
        return None
    return agent_start(name, adapter=ADAPTER)
