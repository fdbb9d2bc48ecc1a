"""LangGraph: a compiled graph that holds tools, or that is called by no agent, is an agent itself."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from opentelemetry.context import Context, get_current, get_value, set_value

from whodid.instrumentation import frameworks
from whodid.instrumentation.context import Attribution, with_attribution
from whodid.instrumentation.core import ContextAsyncIterator, ContextIterator, agent_start, in_agent
from whodid.instrumentation.frameworks.seam import argument, quietly
from whodid.instrumentation.streams import Finish, Open

ADAPTER = "langgraph"
# In a graph's Context: who handed over to which of its nodes, and has ended since.
_HANDED_OVER = "whodid.langgraph.handed_over"


class Instrumentor(frameworks.Instrumentor):
    """Hooks LangGraph's engine; its tools are langchain's."""

    name = ADAPTER
    distribution = "langgraph"
    tested = ("1.2.0", "1.2.24")
    modules = ("langgraph.pregel.main",)

    def hook(self, module: ModuleType) -> None:
        """Wrap what `invoke`, `ainvoke` and the event streams all end up in."""
        self.wrap(module, "Pregel.stream", _stream)
        self.wrap(module, "Pregel.astream", _astream)


def _stream(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    opens = quietly(ADAPTER, "a graph could not be read", lambda: _opens(instance, args, kwargs))
    if opens is None:
        return wrapped(*args, **kwargs)
    return ContextIterator[Any](lambda: wrapped(*args, **kwargs), opens)


def _astream(wrapped: Any, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    opens = quietly(ADAPTER, "a graph could not be read", lambda: _opens(instance, args, kwargs))
    if opens is None:
        return wrapped(*args, **kwargs)
    return ContextAsyncIterator[Any](lambda: wrapped(*args, **kwargs), opens)


def _opens(graph: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Open | None:
    """How to start the graph's span; None if the graph is no agent, but a part of one."""
    if in_agent() and not _has_tools(graph):
        return None
    name, parent = str(graph.name), get_current()
    config: Any = argument(args, kwargs, 1, "config") or {}
    thread_id = config.get("configurable", {}).get("thread_id")
    node = config.get("metadata", {}).get("langgraph_node")
    handed_over: Any = get_value(_HANDED_OVER, parent)

    def opens() -> tuple[Context, Finish]:
        before: Attribution | None = None if handed_over is None else handed_over.pop(node, None)
        run = agent_start(
            name,
            adapter=ADAPTER,
            parent=parent if before is None else with_attribution(before, parent),
            conversation_id=None if thread_id is None else str(thread_id),
        )

        def finish(error: BaseException | None) -> None:
            if handed_over is not None:
                for target in _targets(error):
                    handed_over[target] = run.attribution
            run.finish(None if _is_control_flow(error) else error)

        return set_value(_HANDED_OVER, {}, run.context), finish

    return opens


def _targets(error: BaseException | None) -> list[str]:
    """The nodes beside this graph to which it hands over, if that is how it ended."""
    parent_command: Any = getattr(sys.modules.get("langgraph.errors"), "ParentCommand", None)
    if error is None or parent_command is None or not isinstance(error, parent_command):
        return []
    goto: Any = error.args[0].goto  # a node's name, what to send to a node, or several of either
    several = [goto] if isinstance(goto, str) or hasattr(goto, "node") else list(goto)
    return [str(getattr(each, "node", each)) for each in several]


def _has_tools(graph: Any) -> bool:
    tool_node = getattr(sys.modules.get("langgraph.prebuilt.tool_node"), "ToolNode", None)
    return tool_node is not None and any(isinstance(node.bound, tool_node) for node in graph.nodes.values())


def _is_control_flow(error: BaseException | None) -> bool:
    """A graph that pauses for somebody, or hands over to its parent, has not failed."""
    bubble_up = getattr(sys.modules.get("langgraph.errors"), "GraphBubbleUp", None)
    return bubble_up is not None and isinstance(error, bubble_up)
