"""openai-agents: agents, hand-offs, function tools and approvals, with the SDK's own tracing on or off."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Final

import wrapt
from opentelemetry.context import Context, get_current, get_value, set_value

from whodid.instrumentation import frameworks
from whodid.instrumentation.context import Attribution, current, with_attribution
from whodid.instrumentation.core import (
    Action,
    AgentRun,
    ToolCall,
    agent_start,
    approval_requested,
    approval_resolved,
)
from whodid.instrumentation.frameworks.seam import argument, decide, quietly
from whodid.instrumentation.streams import attached

ADAPTER: Final = "openai_agents"
_RUN: Final = "whodid.openai_agents.run"
_ACTION: Final = "whodid.openai_agents.action"
_ANSWERING: Final = "whodid.openai_agents.answering"

MAX_STOPPED: Final = 4096

_Chain = tuple[str, ...]
# How far the delegation had come when a run stopped to ask: before it began, and at its last agent. The key
# is the task and the waiting call, which a state keeps that is stored and read again.
_stopped_at: OrderedDict[tuple[str | None, str | None], tuple[_Chain, _Chain]] = OrderedDict()


class Instrumentor(frameworks.Instrumentor):
    """Hooks the SDK's run loop."""

    name = ADAPTER
    distribution = "openai-agents"
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
                self.wrap(module, "agent_span", _agent_span)
            case "run":
                self.wrap(module, "agent_span", _agent_span)
                self.wrap(module, "AgentRunner.run", _run)
                self.wrap(module, "AgentRunner.run_streamed", _run_streamed)
                self.wrap(module, "start_streaming", _streaming)
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


def _invoke(denied: Callable[[str], Any]) -> frameworks.Wrapper:
    """Around one call of a function tool, after its approval and its guardrails."""

    async def wrapper(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        action = decide(
            ADAPTER, lambda: _call(kwargs["function_tool"], kwargs["context"], kwargs["arguments"])
        )
        if action is None:
            return await wrapped(*args, **kwargs)
        if action.denial is not None:
            return denied(action.denial)
        with action.executing(), attached(set_value(_ACTION, action)):
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
    )


async def _failed(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The SDK makes a text for the model of a tool's exception, which is then seen nowhere else."""
    action = get_value(_ACTION)
    call_id = getattr(kwargs.get("context"), "tool_call_id", None)
    if (
        isinstance(action, Action)
        and action.call.call_id == call_id
        and (error := kwargs.get("error")) is not None
    ):
        action.failed(error)
    return await wrapped(*args, **kwargs)


@dataclass(slots=True)
class _Run:
    """One run of the SDK's loop: its agents come one after the other, each handed off to by the last."""

    began_with: _Chain
    resumed_at: _Chain | None = None
    agent: AgentRun | None = None

    def next_agent(self, name: str) -> AgentRun:
        """Start the next agent's span."""
        if self.agent is not None:
            self.agent = self.agent.handoff(name)
        else:
            parent = get_current()
            if self.resumed_at:
                parent = with_attribution(replace(current(), chain=self.resumed_at[:-1]))
            self.agent = agent_start(name, adapter=ADAPTER, parent=parent)
        return self.agent


def _enter(kwargs: dict[str, Any], given: Any) -> Context:
    """The Context of a run: with the run in it, so that its agents find each other."""
    conversation_id = kwargs.get("conversation_id")
    attribution = current()
    if conversation_id is not None:
        attribution = replace(attribution, conversation_id=str(conversation_id))
    run = _Run(attribution.chain, _resumed_at(attribution, given))
    return set_value(_RUN, run, with_attribution(attribution))


def _resumed_at(attribution: Attribution, given: Any) -> _Chain | None:
    """The chain up to the agent that goes on from a stopped run's state; None for a run that begins."""
    waiting: Any = getattr(given, "get_interruptions", tuple)
    for item in waiting():
        stopped = _stopped_at.get((attribution.task_id, _waiting(item).call_id))
        if stopped is not None and stopped[0] == attribution.chain:
            return stopped[1]
    return None


async def _run(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = argument(args, kwargs, 1, "input")
    context = quietly(ADAPTER, "a run could not be read", lambda: _enter(kwargs, given))
    if context is None:
        return await wrapped(*args, **kwargs)
    with attached(context):
        result = await wrapped(*args, **kwargs)
        quietly(ADAPTER, "requests for approval could not be read", lambda: _note_requests(result))
        return result


def _run_streamed(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = argument(args, kwargs, 1, "input")
    context = quietly(ADAPTER, "a run could not be read", lambda: _enter(kwargs, given))
    if context is None:
        return wrapped(*args, **kwargs)
    with attached(context):  # the SDK starts the task of the run in here, and the task keeps the Context
        return wrapped(*args, **kwargs)


async def _streaming(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The body of a streamed run."""
    done = await wrapped(*args, **kwargs)
    quietly(
        ADAPTER,
        "requests for approval could not be read",
        lambda: _note_requests(kwargs.get("streamed_result")),
    )
    return done


def _note_requests(result: Any) -> None:
    run = get_value(_RUN)
    for item in getattr(result, "interruptions", None) or ():
        call = _waiting(item)
        approval_requested(call)
        if isinstance(run, _Run) and run.agent is not None:
            _stopped_at[current().task_id, call.call_id] = run.began_with, run.agent.attribution.chain
    while len(_stopped_at) > MAX_STOPPED:
        _stopped_at.popitem(last=False)


def _waiting(item: Any) -> ToolCall:
    raw: Any = item.raw_item
    get: Any = getattr(raw, "get", None)  # a mapping, or an object, as the model's provider has it
    call_id = getattr(raw, "call_id", None) if get is None else get("call_id")
    return ToolCall(name=item.name or "", call_id=call_id, arguments=item.arguments)


def _answered(*, granted: bool) -> frameworks.Wrapper:
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
            lambda: approval_resolved(_waiting(item), granted, adapter=ADAPTER),
        )
        return done

    return wrapper


def _agent_span(wrapped: Any, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
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
