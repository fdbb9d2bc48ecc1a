"""Values that are kept by an object for as long as the object lives, whether or not it can be hashed."""

from __future__ import annotations

import weakref
from typing import Any, Final, Generic, TypeVar

V = TypeVar("V")
MAX_OBJECTS: Final = 10_000


class ByObject(Generic[V]):
    """One value an object, by its identity: frameworks' tools define equality and cannot be keys of a dict.

    Bounded: beyond `max_objects` nothing more is kept. What takes no weak reference is not kept either.
    """

    def __init__(self, max_objects: int = MAX_OBJECTS) -> None:
        self._max_objects = max_objects
        self._kept: dict[int, tuple[weakref.ref[Any], V]] = {}

    def get(self, owner: object) -> V | None:
        """The owner's value; None if there is none."""
        known = self._kept.get(id(owner))
        return known[1] if known is not None and known[0]() is owner else None

    def set(self, owner: object, value: V) -> None:
        """Keep a value for as long as the owner lives."""
        key = id(owner)
        if key not in self._kept and len(self._kept) >= self._max_objects:
            return
        try:
            reference = weakref.ref(owner, lambda _: self._kept.pop(key, None))
        except TypeError:
            return
        self._kept[key] = (reference, value)

    def __len__(self) -> int:
        return len(self._kept)
