"""Agents at work: the `invoke_agent` span, and hand-offs from one agent to the next."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from opentelemetry.context import Context, get_current
from opentelemetry.trace import INVALID_SPAN, get_current_span, set_span_in_context

from whodid.instrumentation import process
from whodid.instrumentation.context import Attribution, current, with_attribution
from whodid.instrumentation.scopes import Scope, start_span
from whodid.instrumentation.streams import ContextAsyncIterator, ContextIterator, Finish
from whodid.semconv import attributes as names

T = TypeVar("T")
INVOKE_AGENT: Final = "invoke_agent"


class AgentRun(Scope):
    """One run of an agent: `attached()` or `running()` around its code, `finish()` when it is done."""

    adapter: str
    parent: Context

    def handoff(self, name: str, *, version: str | None = None, description: str | None = None) -> AgentRun:
        """End this agent's span and start the next agent's beside it, with the chain one longer.

        Where there is nothing around them, the next one's is below it: beside it would be another trace.
        """
        self.finish()
        alone = not get_current_span(self.parent).get_span_context().is_valid
        return _start(
            name,
            self.attribution,
            set_span_in_context(self.span, self.parent) if alone else self.parent,
            adapter=self.adapter,
            version=version,
            description=description,
        )


def agent_start(
    name: str,
    *,
    adapter: str,
    version: str | None = None,
    description: str | None = None,
    conversation_id: str | None = None,
    parent: Context | None = None,
    native: bool = False,
) -> AgentRun:
    """Start an agent's span under `parent` (the current Context if None). Nothing is made current yet.

    `native`: the framework makes that span inside, which stamping completes; ours would be a second one.
    """
    context = get_current() if parent is None else parent
    attribution = current(context)
    if conversation_id is not None:
        attribution = attribution.changed(conversation_id=conversation_id)
    return _start(
        name,
        attribution,
        context,
        adapter=adapter,
        version=version,
        description=description,
        native=native,
    )


@contextmanager
def agent_span(
    name: str,
    *,
    control_flow: tuple[type[BaseException], ...] = (),
    **options: Any,
) -> Generator[AgentRun, None, None]:
    """An agent at work in this block, in sync and async code alike. `options` as `agent_start` takes them.

    Not for a generator's body: use `agent_stream` or `agent_astream` there.
    """
    run = agent_start(name, **options)
    with run.running(control_flow):
        yield run


def agent_stream(make: Callable[[], Iterator[T]], name: str, **options: Any) -> ContextIterator[T]:
    """Run the iterator that `make` gives as an agent; `options` as `agent_start`'s, but for `parent`.

    The span starts at the first step and ends with the last, or when the consumer closes or drops the stream,
    which is no failure of the agent.
    """
    parent = get_current()
    return ContextIterator(make, lambda: _open(name, parent, options))


def agent_astream(make: Callable[[], AsyncIterator[T]], name: str, **options: Any) -> ContextAsyncIterator[T]:
    """`agent_stream` for an async iterator."""
    parent = get_current()
    return ContextAsyncIterator(make, lambda: _open(name, parent, options))


def in_agent(name: str | None = None) -> bool:
    """Whether an agent (of this name) is at work in this process, so that nothing adds a second span."""
    attribution = current()
    if attribution.agent_name is None or attribution.remote:
        return False
    return name is None or attribution.agent_name == name


def _open(name: str, parent: Context, options: dict[str, Any]) -> tuple[Context, Finish]:
    run = agent_start(name, parent=parent, **options)
    return run.context, run.finish


def _start(
    name: str,
    attribution: Attribution,
    parent: Context,
    *,
    adapter: str,
    version: str | None,
    description: str | None,
    native: bool = False,
) -> AgentRun:
    derived = process.with_identity(
        attribution.with_agent(name, instance_id=f"{name}:{process.instance_id()}", version=version)
    )
    attributes: dict[str, Any] = {names.GEN_AI_OPERATION_NAME: INVOKE_AGENT}
    if description:
        attributes[names.GEN_AI_AGENT_DESCRIPTION] = description
    if native:
        span, context = INVALID_SPAN, with_attribution(derived, parent)
    else:
        span, context = start_span(adapter, f"{INVOKE_AGENT} {name}", derived, attributes, parent)
    run = AgentRun(span, context)
    run.adapter, run.parent = adapter, parent
    return run
