"""pydantic-ai: gives each run capabilities, the framework's own way in; they are in `pydantic_capability`."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

from whodid.instrumentation import frameworks
from whodid.instrumentation.core import ToolCall, approval_requested, approval_resolved
from whodid.instrumentation.frameworks.pydantic_capability import ADAPTER, capabilities, read_call
from whodid.instrumentation.frameworks.seam import argument, quietly


class Instrumentor(frameworks.Instrumentor):
    """Hooks the agents' runs, and the answers to requests for approval that come while one goes on."""

    name = ADAPTER
    distribution = "pydantic-ai-slim"
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
    history = list(kwargs.get("message_history") or ()) if answers is not None else []
    quietly(
        ADAPTER, "answers to requests for approval could not be recorded", lambda: _told(answers, history)
    )
    ours = quietly(ADAPTER, "a run could not be instrumented", capabilities)
    if ours is not None:
        kwargs = {**kwargs, "capabilities": [*(kwargs.get("capabilities") or ()), *ours]}
    return wrapped(*args, **kwargs)


async def _resolve(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around a handler of the host's that answers requests for approval while the run goes on."""
    asked: Any = argument(args, kwargs, 0, "requests")
    waiting = list(getattr(asked, "approvals", ()))
    what = "requests for approval could not be recorded"
    quietly(ADAPTER, what, lambda: [approval_requested(read_call(part)) for part in waiting])
    answers = await wrapped(*args, **kwargs)
    quietly(
        ADAPTER, "answers to requests for approval could not be recorded", lambda: _answer(answers, waiting)
    )
    return answers


def _told(answers: Any, history: Iterable[Any]) -> None:
    """A run that goes on with answers: the calls that they are about are in its history."""
    _answer(answers, [part for message in history for part in message.parts if part.part_kind == "tool-call"])


def _answer(answers: Any, parts: Iterable[Any]) -> None:
    if answers is None:
        return
    waiting = {part.tool_call_id: part for part in parts}
    for call_id, said in answers.approvals.items():
        if (part := waiting.get(call_id)) is None:
            continue
        call: ToolCall = read_call(part, getattr(said, "override_args", None))
        granted = said is True or getattr(said, "kind", None) == "tool-approved"
        approval_resolved(call, granted, adapter=ADAPTER)
