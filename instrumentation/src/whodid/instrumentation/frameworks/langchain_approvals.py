"""LangChain: calls that its human-in-the-loop middleware holds back, and what somebody answers.

The middleware asks again when the run goes on, in whichever process that is: the request and its answer are
then in one place. An edited call is approved as it was edited.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, Final

from whodid.instrumentation.core import ToolCall, approval_requested, approval_resolved
from whodid.instrumentation.frameworks.seam import argument, quietly
from whodid.instrumentation.hooks import Hooks

MODULE: Final = "langchain.agents.middleware.human_in_the_loop"
ADAPTER: Final = "langchain"
_UNASKED: Final = "a request for approval could not be recorded"
_UNANSWERED: Final = "an answer to a request for approval could not be recorded"


def hook(adapter: Hooks, module: ModuleType) -> None:
    """Wrap where a call is described to somebody, and where answers arrive: all at once, or call by call."""
    adapter.wrap(module, "HumanInTheLoopMiddleware._create_action_and_config", _asked)
    adapter.wrap(module, "HumanInTheLoopMiddleware._process_decision", _answered)
    adapter.wrap(module, "interrupt", _interrupted)


def _asked(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    found = wrapped(*args, **kwargs)
    quietly(ADAPTER, _UNASKED, lambda: approval_requested(_call(argument(args, kwargs, 0, "tool_call"))))
    return found


def _answered(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around one of the answers to a turn; the framework raises if it is none of those that are allowed."""
    done = wrapped(*args, **kwargs)
    decision, call = argument(args, kwargs, 0, "decision"), argument(args, kwargs, 1, "tool_call")
    quietly(ADAPTER, _UNANSWERED, lambda: _resolve(decision, call))
    return done


def _interrupted(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the pause, which gives the answer when the run goes on; for one call that is its decision."""
    decision, asked = wrapped(*args, **kwargs), argument(args, kwargs, 0, "value")

    def note() -> None:
        if asked.get("type") == "tool_approval":
            _resolve(decision, {"name": asked["name"], "id": asked["tool_call_id"], "args": asked["args"]})

    quietly(ADAPTER, _UNANSWERED, note)
    return decision


def _call(said: Any) -> ToolCall:
    return ToolCall(name=said["name"], call_id=said["id"], arguments=said["args"])


def _resolve(decision: Any, call: Any) -> None:
    """A tool for which somebody answers by hand does not run either: it was not approved."""
    if decision["type"] == "edit":
        edited = decision["edited_action"]
        call = {"name": edited["name"], "id": call["id"], "args": edited["args"]}
    approval_resolved(_call(call), decision["type"] in ("approve", "edit"), adapter=ADAPTER)
