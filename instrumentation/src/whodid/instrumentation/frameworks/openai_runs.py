"""openai-agents: its runs as agents at work, through hand-offs, and on after a wait for an approval."""

from __future__ import annotations

import sys
from collections import OrderedDict
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import wrapt
from opentelemetry.context import Context, get_current, get_value, set_value

from whodid.instrumentation.context import Attribution, current, with_attribution
from whodid.instrumentation.core import AgentRun, ToolCall, agent_start, approval_requested
from whodid.instrumentation.frameworks.seam import argument, quietly
from whodid.instrumentation.streams import attached

ADAPTER: Final = "openai_agents"
_RUN: Final = "whodid.openai_agents.run"
MAX_STOPPED: Final = 4096

_Chain = tuple[str, ...]
# How far the delegation had come when a run stopped to ask: before it began, and at its last agent. The key
# is the task and the waiting call, which a state keeps that is stored and read again.
_stopped_at: OrderedDict[tuple[str | None, str | None], tuple[_Chain, _Chain]] = OrderedDict()


@dataclass(slots=True)
class _Run:
    """One run of the SDK's loop: its agents come one after the other, each handed off to by the last."""

    began_with: _Chain
    goes_on_with: str | None = None
    """The agent of a run that goes on from a state."""
    came_by: _Chain | None = None
    """The chain up to that agent, where it is known."""
    agent: AgentRun | None = None
    is_ahead: bool = False
    """Our span of the agent was started before the SDK's."""

    def next_agent(self, name: str) -> AgentRun:
        """The next agent's span, started."""
        if self.agent is None:
            self.agent = agent_start(name, adapter=ADAPTER)
        elif not self.is_ahead or self.agent.attribution.agent_name != name:
            self.agent = self.agent.handoff(name)
        self.is_ahead = False
        return self.agent

    def go_on(self) -> AgentRun | None:
        """Start the agent of a run that goes on; None for a run that begins."""
        if self.goes_on_with is None:
            return None
        parent = get_current()
        if self.came_by:
            parent = with_attribution(current().changed(chain=self.came_by[:-1]))
        self.agent, self.is_ahead = agent_start(self.goes_on_with, adapter=ADAPTER, parent=parent), True
        return self.agent


def _enter(kwargs: dict[str, Any], given: Any) -> Context:
    """The Context of a run: with the run in it, so that its agents find each other."""
    conversation_id = kwargs.get("conversation_id")
    attribution = current()
    if conversation_id is not None:
        attribution = attribution.changed(conversation_id=str(conversation_id))
    run = _Run(attribution.chain)
    # Input is a text, a list, or the state of a run that stopped.
    if (agent := getattr(given, "_current_agent", None)) is not None:
        run.goes_on_with, run.came_by = str(agent.name), _came_by(attribution, given)
    return set_value(_RUN, run, with_attribution(attribution))


def _came_by(attribution: Attribution, state: Any) -> _Chain | None:
    for item in state.get_interruptions():
        stopped = _stopped_at.get((attribution.task_id, waiting(item).call_id))
        if stopped is not None and stopped[0] == attribution.chain:
            return stopped[1]
    return None


def _going_on() -> AbstractContextManager[Any]:
    """A run that goes on is its agent's from the start.

    Versions differ in whether they begin the agent's span before or after the calls that waited.
    """
    run = get_value(_RUN)
    agent = (
        quietly(ADAPTER, "an agent's span could not be started", run.go_on) if isinstance(run, _Run) else None
    )
    return nullcontext() if agent is None else agent.running()


async def run(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around one run, to its end or to where it waits for approval."""
    given = argument(args, kwargs, 1, "input")
    context = quietly(ADAPTER, "a run could not be read", lambda: _enter(kwargs, given))
    if context is None:
        return await wrapped(*args, **kwargs)
    with attached(context), _going_on():
        result = await wrapped(*args, **kwargs)
        quietly(ADAPTER, "requests for approval could not be read", lambda: _note_requests(result))
        return result


def run_streamed(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the start of a streamed run."""
    given = argument(args, kwargs, 1, "input")
    context = quietly(ADAPTER, "a run could not be read", lambda: _enter(kwargs, given))
    if context is None:
        return wrapped(*args, **kwargs)
    with attached(context):  # the SDK starts the task of the run in here, and the task keeps the Context
        return wrapped(*args, **kwargs)


async def streaming(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the body of a streamed run."""
    with _going_on():
        done = await wrapped(*args, **kwargs)
        result = kwargs.get("streamed_result")
        quietly(ADAPTER, "requests for approval could not be read", lambda: _note_requests(result))
        return done


def _note_requests(result: Any) -> None:
    run = get_value(_RUN)
    agent = run.agent if isinstance(run, _Run) else None
    for item in getattr(result, "interruptions", None) or ():
        call = waiting(item)
        with nullcontext() if agent is None else attached(agent.context):  # whose span has ended
            approval_requested(call)
        if isinstance(run, _Run) and agent is not None:
            _stopped_at[current().task_id, call.call_id] = run.began_with, agent.attribution.chain
    while len(_stopped_at) > MAX_STOPPED:
        _stopped_at.popitem(last=False)


def waiting(item: Any) -> ToolCall:
    """The call that waits for an approval."""
    raw: Any = item.raw_item
    get: Any = getattr(raw, "get", None)  # a mapping, or an object, as the model's provider has it
    call_id = getattr(raw, "call_id", None) if get is None else get("call_id")
    return ToolCall(name=item.name or "", call_id=call_id, arguments=item.arguments)


def agent_span(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Around the SDK's making of an agent's span: that span, with ours bound to it."""
    span = wrapped(*args, **kwargs)
    name = argument(args, kwargs, 0, "name")
    return _AgentSpan(span, str(name)) if name else span


_Proxy: Any = wrapt.ObjectProxy


class _AgentSpan(_Proxy):
    """The SDK's span of an agent, with ours around the same stretch: the run starts and ends it in one task.

    It stands in for the SDK's no-op span as well, which is what there is where its tracing is off.
    """

    def __init__(self, span: Any, name: str) -> None:
        super().__init__(span)  # pyright: ignore[reportUnknownMemberType] - wrapt's
        self._self_name = name
        self._self_block: Any = None
        self._self_outer_error = sys.exc_info()[1]

    def start(self, *args: Any, **kwargs: Any) -> Any:
        """Start both."""
        started = self.__wrapped__.start(*args, **kwargs)
        quietly(ADAPTER, "an agent's span could not be started", self._self_begin)
        return started

    def finish(self, *args: Any, **kwargs: Any) -> Any:
        """End both."""
        quietly(ADAPTER, "an agent's span could not be ended", self._self_end)
        return self.__wrapped__.finish(*args, **kwargs)

    def _self_begin(self) -> None:
        run = get_value(_RUN)
        agent = (
            run.next_agent(self._self_name)
            if isinstance(run, _Run)
            else agent_start(self._self_name, adapter=ADAPTER)
        )
        self._self_block = agent.running()
        self._self_block.__enter__()

    def _self_end(self) -> None:
        block, self._self_block = self._self_block, None
        if block is None:
            return
        # The SDK ends the span in a `finally`: the exception on its way through, if any, is not handed over.
        error = sys.exc_info()[1]
        if error is None or error is self._self_outer_error:
            block.__exit__(None, None, None)
        else:
            block.__exit__(type(error), error, error.__traceback__)
