"""Runs a generator with a Context attached during each step, and never across a `yield`.

A token held across a `yield` is detached in whichever context closes the generator: the attribution of
one user would leak into another's task. So the Context is attached for one `__next__` at a time.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from opentelemetry.context import Context, attach, detach, get_current

T = TypeVar("T")

Finish = Callable[[BaseException | None], None]
Open = Callable[[], tuple[Context, Finish]]
"""Called at the first step: gives the Context of the steps, and what to call once at the end."""


class attached:  # noqa: N801 reads as the function that it is used as
    """Make a Context the current one for a block that does not yield to others' contexts."""

    # A class, since a generator's machinery costs more than the block does.
    __slots__ = ("_context", "_token")

    def __init__(self, context: Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        self._token = attach(self._context)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A coroutine collected in the middle of an await ends in a foreign context, whose state is not ours.
        if kind is None or not issubclass(kind, GeneratorExit) or get_current() is self._context:
            detach(self._token)


class _Steps:
    """When a stream was opened and that it is finished exactly once, even if nobody exhausts it."""

    def __init__(self, open_: Open) -> None:
        self._open = open_
        self._context: Context | None = None
        self._finalizer: weakref.finalize[Any, Any] | None = None
        self._finish: Finish | None = None

    def context(self, owner: object) -> Context:
        if self._context is None:
            self._context, finish = self._open()
            # Abandoned: the consumer dropped the stream, which is no failure of the agent.
            self._finalizer = weakref.finalize(owner, finish, None)
            self._finish = finish
        return self._context

    def finish(self, error: BaseException | None) -> None:
        finalizer, finish = self._finalizer, self._finish
        if finalizer is not None and finish is not None and finalizer.detach() is not None:
            finish(None if isinstance(error, GeneratorExit) else error)


class ContextIterator(Iterator[T]):
    """An iterator whose steps run in one Context; it has a generator's other methods too."""

    def __init__(self, make: Callable[[], Iterator[T]], open_: Open) -> None:
        self._make = make
        self._inner: Any = None
        self._steps = _Steps(open_)

    def __iter__(self) -> ContextIterator[T]:
        return self

    def __next__(self) -> T:
        return self._step(lambda: next(self._inner))

    def send(self, value: Any) -> T:
        """As a generator's."""
        return self._step(lambda: self._inner.send(value))

    def throw(self, *error: Any) -> T:
        """As a generator's."""
        return self._step(lambda: self._inner.throw(*error))

    def close(self) -> None:
        """As a generator's."""
        if self._inner is not None and hasattr(self._inner, "close"):
            with attached(self._steps.context(self)):
                self._inner.close()
        self._steps.finish(None)

    def _step(self, step: Callable[[], T]) -> T:
        try:
            with attached(self._steps.context(self)):
                if self._inner is None:
                    self._inner = self._make()
                return step()
        except StopIteration:
            self._steps.finish(None)
            raise
        except BaseException as error:
            self._steps.finish(error)
            raise


class ContextAsyncIterator(AsyncIterator[T]):
    """The same for an async iterator."""

    def __init__(self, make: Callable[[], AsyncIterator[T]], open_: Open) -> None:
        self._make = make
        self._inner: Any = None
        self._steps = _Steps(open_)

    def __aiter__(self) -> ContextAsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        return await self._step(lambda: self._inner.__anext__())

    async def asend(self, value: Any) -> T:
        """As an async generator's."""
        return await self._step(lambda: self._inner.asend(value))

    async def athrow(self, *error: Any) -> T:
        """As an async generator's."""
        return await self._step(lambda: self._inner.athrow(*error))

    async def aclose(self) -> None:
        """As an async generator's."""
        if self._inner is not None and hasattr(self._inner, "aclose"):
            with attached(self._steps.context(self)):
                await self._inner.aclose()
        self._steps.finish(None)

    async def _step(self, step: Callable[[], Any]) -> T:
        try:
            with attached(self._steps.context(self)):
                if self._inner is None:
                    self._inner = self._make()
                return await step()
        except StopAsyncIteration:
            self._steps.finish(None)
            raise
        except BaseException as error:
            self._steps.finish(error)
            raise
