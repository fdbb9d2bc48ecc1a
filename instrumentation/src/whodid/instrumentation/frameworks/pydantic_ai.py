"""pydantic-ai: gives each run capabilities, the framework's own way in; they are in `pydantic_capability`."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from whodid.instrumentation import frameworks
from whodid.instrumentation.frameworks.pydantic_capability import (
    ADAPTER,
    capabilities,
    note_answers,
    note_requests,
)
from whodid.instrumentation.frameworks.seam import argument, quietly


class Instrumentor(frameworks.Instrumentor):
    """Hooks the agents' runs, and the answers to requests for approval that come while one goes on."""

    name = ADAPTER
    distribution = "pydantic-ai-slim"
    tested = ("2.0.0", "2.68.0")
    modules = ("pydantic_ai.agent", "pydantic_ai.tool_manager")

    def hook(self, module: ModuleType) -> None:
        """Wrap what `run`, `run_sync`, `run_stream` and `iter` all end up in, and the answers."""
        if module.__name__ == "pydantic_ai.agent":
            self.wrap(module, "Agent.iter", _iter)
        else:
            self.wrap(module, "ToolManager.resolve_deferred_tool_calls", _resolve)


def _iter(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the making of one run, which takes capabilities of its own."""
    answers = kwargs.get("deferred_tool_results")
    ours = quietly(ADAPTER, "a run could not be instrumented", lambda: capabilities(answers))
    if ours is not None:
        kwargs = {**kwargs, "capabilities": [*(kwargs.get("capabilities") or ()), *ours]}
    return wrapped(*args, **kwargs)


async def _resolve(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around a handler of the host's that answers requests for approval while the run goes on."""
    asked: Any = argument(args, kwargs, 0, "requests")
    waiting: list[Any] = list(getattr(asked, "approvals", ()))
    note_requests(waiting)
    answers = await wrapped(*args, **kwargs)
    note_answers(answers, waiting)
    return answers
