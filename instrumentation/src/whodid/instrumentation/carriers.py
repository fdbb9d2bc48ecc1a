"""Attribution over a hop of your own: a queue's message, a job, another process. And over the environment."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from whodid.instrumentation import baggage, peers
from whodid.instrumentation.context import NOTHING_KNOWN, current, with_attribution
from whodid.instrumentation.streams import attached

T = TypeVar("T")
VARIABLES: Final[Mapping[str, str]] = {
    "traceparent": "TRACEPARENT",
    "tracestate": "TRACESTATE",
    "baggage": "BAGGAGE",
}
"""Source: OpenTelemetry, Environment Variables as Context Propagation Carriers."""
_propagator: Final = TraceContextTextMapPropagator()


def outgoing() -> dict[str, str]:
    """What to put into a message: the trace and the attribution of this place. Empty where nothing is known.

    For somebody whom you trust: no list is asked.
    """
    carrier: dict[str, Any] = {}
    _propagator.inject(carrier)
    baggage.inject(carrier, current())
    return carrier


@contextmanager
def incoming(carrier: Mapping[str, Any] | None) -> Generator[None, None, None]:
    """A block in which what the message says holds, and nothing of this place: without it, nobody is known.

    What it says is its sender's word.
    """
    with attached(arrived(carrier)):
        yield


def arrived(carrier: Mapping[str, Any] | None) -> Context:
    """The Context of a message, for where a block will not do."""
    pairs = () if carrier is None else carrier.items()
    found = {key: value for key, value in pairs if isinstance(value, str)}
    said = baggage.extract(found) or NOTHING_KNOWN
    return with_attribution(said, _propagator.extract(found, Context()))


def carried(function: Callable[..., T]) -> Callable[..., T]:
    """The function in the block of this place, wherever it is called: for a `threading.Thread`'s target."""
    context = get_current()

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> T:
        with attached(context):
            return function(*args, **kwargs)

    return run


def leave_in(environ: MutableMapping[str, str]) -> None:
    """Write it into a child's environment, in place of what is there, if this machine is told at all."""
    for variable in VARIABLES.values():
        environ.pop(variable, None)
    if peers.sends_to(peers.THIS_MACHINE):
        environ.update({VARIABLES[name]: text for name, text in outgoing().items()})


def take_up_environment() -> None:
    """Go on for good with what this process's starter left in the environment, and take it out of there.

    What stayed would go on to every child, in whoever's block that is started.
    """
    found = {name: os.environ.pop(key) for name, key in VARIABLES.items() if key in os.environ}
    if found and current() is NOTHING_KNOWN and peers.accepts_from(peers.THIS_MACHINE):
        attach(arrived(found))
