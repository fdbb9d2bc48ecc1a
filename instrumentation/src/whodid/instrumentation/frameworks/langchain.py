"""LangChain: every tool runs through `BaseTool.run` or `arun`, those of LangGraph's agents as well."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from whodid.instrumentation import frameworks
from whodid.instrumentation.core import Action, ToolCall
from whodid.instrumentation.frameworks import langchain_approvals
from whodid.instrumentation.frameworks.seam import argument, decide, quietly
from whodid.instrumentation.weakly import ByObject

ADAPTER = "langchain"
_schemas: ByObject[tuple[Any, Any]] = ByObject()


class Instrumentor(frameworks.Instrumentor):
    """Hooks langchain-core, which LangChain's and LangGraph's agents run their tools with."""

    name = ADAPTER
    distribution = "langchain-core"
    tested = ("1.4.0", "1.8.3")
    modules = ("langchain_core.tools.base", langchain_approvals.MODULE)

    def hook(self, module: ModuleType) -> None:
        """Wrap the two ways in which any tool is run, and what holds one back until somebody says so."""
        if module.__name__ == langchain_approvals.MODULE:
            langchain_approvals.hook(self, module)
            return
        self.wrap(module, "BaseTool.run", _run)
        self.wrap(module, "BaseTool.arun", _arun)


def _run(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    action = decide(ADAPTER, lambda: _call(instance, args, kwargs))
    if action is None:
        return wrapped(*args, **kwargs)
    if action.denial is not None:
        return _denied(action.denial, instance, kwargs)
    with action.executing(_control_flow()):
        return _finished(action, wrapped(*args, **kwargs))


async def _arun(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    action = decide(ADAPTER, lambda: _call(instance, args, kwargs))
    if action is None:
        return await wrapped(*args, **kwargs)
    if action.denial is not None:
        return _denied(action.denial, instance, kwargs)
    with action.executing(_control_flow()):
        return _finished(action, await wrapped(*args, **kwargs))


def _call(tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolCall:
    given = argument(args, kwargs, 0, "tool_input")
    if isinstance(given, str):
        # A tool with one argument may be given it bare: it is no JSON text of a model's.
        given = {"input": given}
    elif hasattr(tool, "_filter_injected_args"):
        # What the framework injects (state, store, runtime) is nothing that the model asked for.
        given = tool._filter_injected_args(given)
    return ToolCall(
        name=tool.name,
        call_id=kwargs.get("tool_call_id"),
        arguments=given,
        description=tool.description,
        definition=_definition(tool),
        tool=tool,
    )


def _definition(tool: Any) -> dict[str, Any]:
    """As the model has it. The schema is made once a tool: that takes longer than all the rest of a call."""
    schema = tool.args_schema
    known = _schemas.get(tool)
    if known is None or known[0] is not schema:
        shown = quietly(ADAPTER, "a tool's schema could not be read", lambda: tool.tool_call_schema)
        made = getattr(shown, "model_json_schema", lambda: shown)
        known = (schema, quietly(ADAPTER, "a tool's schema could not be read", made))
        _schemas.set(tool, known)
    return {"name": tool.name, "description": tool.description, "parameters": known[1]}


def _denied(denial: str, tool: Any, kwargs: dict[str, Any]) -> Any:
    """The framework's own shape of an error: a message where a model waits for one, else the text."""
    call_id = kwargs.get("tool_call_id")
    if call_id is None:
        return denial
    from langchain_core.messages import ToolMessage

    return ToolMessage(content=denial, status="error", tool_call_id=call_id, name=tool.name)


def _finished(action: Action, result: Any) -> Any:
    if getattr(result, "status", None) == "error":
        # The tool's own handler turned an exception into a message for the model.
        action.failed("tool_error")
    action.result(getattr(result, "content", result))
    return result


def _control_flow() -> tuple[type[BaseException], ...]:
    """LangGraph's ways to pause or divert a graph from inside a tool, which are no failures of the tool."""
    errors = sys.modules.get("langgraph.errors")
    bubble_up = getattr(errors, "GraphBubbleUp", None)
    return () if bubble_up is None else (bubble_up,)
