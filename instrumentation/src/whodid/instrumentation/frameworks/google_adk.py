"""Google's ADK: its agents at work, whose spans it makes itself. Its tool calls are in `google_adk_calls`."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from opentelemetry.context import Context

from whodid.instrumentation import frameworks
from whodid.instrumentation.context import with_attribution
from whodid.instrumentation.core import ContextAsyncIterator, agent_start
from whodid.instrumentation.frameworks.google_adk_calls import (
    ADAPTER,
    call_tool,
    came_from,
    described,
    gate,
    recording,
    requested,
)
from whodid.instrumentation.frameworks.seam import argument, quietly
from whodid.instrumentation.streams import Finish, Open


class Instrumentor(frameworks.Instrumentor):
    """Hooks the agents' base class, and where the framework calls a tool."""

    name = ADAPTER
    distribution = "google-adk"
    tested = ("2.11.0", "2.13.0")
    modules = (
        "google.adk.agents.base_agent",
        "google.adk.agents.context",
        "google.adk.flows.llm_flows.functions",
        "google.adk.telemetry._instrumentation",
        "google.adk.telemetry.tracing",
    )

    def hook(self, module: ModuleType) -> None:
        """Wrap what each of the modules has to offer."""
        match module.__name__.rpartition(".")[2]:
            case "base_agent":
                self.wrap(module, "BaseAgent.run_async", _run)
                self.wrap(module, "BaseAgent.run_live", _run)
            case "context":
                self.wrap(module, "Context.request_confirmation", requested)
            case "functions":
                self._hook_tools(module)
            case "_instrumentation":
                self.wrap(module, "record_tool_execution", recording)
            case _:
                self.wrap(module, "trace_tool_call", described)

    def _hook_tools(self, functions: ModuleType) -> None:
        caller = sys.modules.get("google.adk.flows.llm_flows.tools._caller")
        if caller is None:  # before 2.10
            self.wrap(functions, "__call_tool_async", call_tool)
            return
        self.wrap(caller, "_call_tool_async", call_tool)
        if hasattr(caller, "apply_confirmation_gate"):  # from 2.12 on: a tool does not ask by itself
            self.wrap(caller, "apply_confirmation_gate", gate)
        live = sys.modules.get("google.adk.flows.llm_flows.tools._live_caller")
        if live is not None:  # has the name by import
            self.wrap(live, "_call_tool_async", call_tool)


def _run(wrapped: Any, agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around one agent's run, also a sub-agent's: it goes on in the events that its consumer takes."""
    opens = quietly(ADAPTER, "a run could not be read", lambda: _opens(agent, args, kwargs))
    if opens is None:
        return wrapped(*args, **kwargs)
    return ContextAsyncIterator[Any](lambda: wrapped(*args, **kwargs), opens)


def _opens(agent: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Open:
    name, invocation = str(agent.name), argument(args, kwargs, 0, "parent_context")
    parent = with_attribution(came_from(invocation, name))

    def opens() -> tuple[Context, Finish]:
        conversation_id = getattr(getattr(invocation, "session", None), "id", None)
        run = agent_start(name, adapter=ADAPTER, parent=parent, conversation_id=conversation_id, native=True)
        return run.context, run.finish

    return opens
