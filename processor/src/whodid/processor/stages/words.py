"""Words: eight bytes at once from and to wherever they are, which NumPy cannot say; for compiled code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_Function = TypeVar("_Function", bound=Callable[..., Any])

Int: TypeAlias = Any
"""An integer, NumPy's or Python's: compiled they are one."""

SIZE = 8
_library: Any = numba
_tools: Any = cgutils


def compiled(function: _Function, *, inline: bool = False) -> _Function:
    """Compiled at its first call, and kept on disk for the next process where there is a place for it.

    It must not allocate: it runs without numba's reference counts, which would cost more than the work.
    `inline`: becomes a part of whoever calls it. An array is seven words to pass on, which a short function
    that is called for each attribute takes longer for than for its work.
    """
    options = {"nogil": True, "error_model": "numpy", "_nrt": False}
    if inline:
        options["inline"] = "always"
    try:
        return cast(_Function, _library.njit(cache=True, **options)(function))
    except RuntimeError:  # neither beside the module nor in the user's cache can be written
        return cast(_Function, _library.njit(**options)(function))


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    made = context.make_array(array_type)(context, builder, array)
    byte = builder.gep(made.data, [at])
    return builder.bitcast(byte, ir.IntType(64).as_pointer())


def _load(_context: Any, data: Any, at: Any) -> Any:  # noqa: ARG001 - load's own parameters
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _address(context, builder, signature.args[0], arguments[0], arguments[1])
        loaded = builder.load(pointer)
        loaded.align = 1
        return loaded

    kinds: Any = types
    return kinds.uint64(data, kinds.int64), code


def _store(_context: Any, data: Any, at: Any, value: Any) -> Any:  # noqa: ARG001 - store's own
    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _address(context, builder, signature.args[0], arguments[0], arguments[1])
        builder.store(arguments[2], pointer).align = 1
        return context.get_dummy_value()

    kinds: Any = types
    return kinds.void(data, kinds.int64, kinds.uint64), code


if _library.config.DISABLE_JIT:  # the same as Python, for a debugger and for checks of every index

    def load(data: Any, at: Int) -> Any:
        """The word that starts at a byte; all eight have to be in the data. Raises IndexError."""
        if not 0 <= at <= len(data) - SIZE:
            raise IndexError(at)
        return np.uint64(int.from_bytes(data[at : at + SIZE].tobytes(), "little"))

    def store(data: Any, at: Int, value: Any) -> None:
        """Puts a word where all eight bytes are in the data. Raises IndexError."""
        if not 0 <= at <= len(data) - SIZE:
            raise IndexError(at)
        data[at : at + SIZE] = np.frombuffer(int(value).to_bytes(SIZE, "little"), dtype=np.uint8)

else:
    load = cast(Any, intrinsic)(_load)
    store = cast(Any, intrinsic)(_store)

_HIGH_BITS = np.uint64(0x8080808080808080)


@partial(compiled, inline=True)
def is_ascii(data: Any, start: Int, end: Int) -> bool:
    """Whether no byte has its high bit set."""
    seen = np.uint64(0)
    at = start
    while at + SIZE <= end:
        seen |= load(data, at)
        at += SIZE
    if at < end:
        if end - start >= SIZE:
            seen |= load(data, end - SIZE)  # some of them a second time
        else:
            while at < end:
                seen |= np.uint64(data[at])
                at += 1
    return (seen & _HIGH_BITS) == np.uint64(0)


@partial(compiled, inline=True)
def same(data: Any, left: Int, right: Int, size: Int) -> bool:
    """Whether two runs of bytes are equal."""
    differ = np.uint64(0)
    step = 0
    while step + SIZE <= size:
        differ |= load(data, left + step) ^ load(data, right + step)
        step += SIZE
    if step < size:
        if size >= SIZE:
            differ |= load(data, left + size - SIZE) ^ load(data, right + size - SIZE)
        else:
            while step < size:
                differ |= np.uint64(data[left + step] ^ data[right + step])
                step += 1
    return differ == np.uint64(0)


@partial(compiled, inline=True)
def copy(data: Any, start: Int, size: Int, target: Any, to: Int) -> None:
    """Copies a run of bytes."""
    step = 0
    while step + SIZE <= size:
        store(target, to + step, load(data, start + step))
        step += SIZE
    if step < size:
        if size >= SIZE:
            store(target, to + size - SIZE, load(data, start + size - SIZE))
        else:
            while step < size:
                target[to + step] = data[start + step]
                step += 1
