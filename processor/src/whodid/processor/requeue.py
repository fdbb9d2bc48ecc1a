"""Moves a segment from quarantine back towards the spool, beside a running service or without one."""

from __future__ import annotations

import contextlib
from pathlib import Path

from whodid.processor import segment
from whodid.processor.errors import WhodidError
from whodid.processor.quarantine import RETURNED, Entry, Kept
from whodid.processor.spool import PAST, STORE

_NOT_BACK = {
    Kept.REQUEST: "it was refused, and its sender was told so",
    Kept.CORRUPT: "it is no whole record any more",
}


def requeue(entry: Entry) -> None:
    """Puts the segment where the spool, or the next one that starts, takes it in within a second.

    The renaming is what counts: a kill before or after it loses nothing. Raises WhodidError.
    """
    if entry.kind in _NOT_BACK:
        raise WhodidError(
            f"{entry.name} cannot go back: {_NOT_BACK[entry.kind]}",
            "only what was acknowledged as a whole can: kinds segments and forward",
        )
    folder = entry.path.parents[1] / RETURNED
    target = folder / entry.path.name
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if target.exists():
            raise WhodidError(f"{entry.name} is on its way back already", "is `whodid up` running?")
        if entry.kind is Kept.FORWARD:
            # The store has it: before the segment, so that it never goes there once more.
            (folder / f"{target.name}{PAST}{STORE}").touch(mode=0o600)
        entry.path.rename(target)
        segment.sync(folder)
        segment.sync(entry.path.parent)
    except OSError as error:
        raise WhodidError(
            f"{entry.name} cannot be moved: {error.strerror}", "it is still in quarantine"
        ) from None
    with contextlib.suppress(OSError):
        entry.reason_path.unlink(missing_ok=True)


def named(found: list[Entry], name: str) -> Entry:
    """The entry of that name, or the only one whose name begins with it. Raises WhodidError."""
    exact = [each for each in found if each.name == name]
    near = exact or [each for each in found if each.name.startswith(name)]
    if len(near) == 1:
        return near[0]
    if near:
        raise WhodidError(f"{len(near)} entries begin with {name!r}", "give more of the name")
    raise WhodidError(f"nothing in quarantine is called {name!r}", "`whodid quarantine list` shows the names")


def content(entry: Entry, max_bytes: int) -> list[bytes]:
    """The requests in an entry; what is too large to look at is left out. Raises OSError."""
    if entry.size_bytes > max_bytes:
        return []
    body = Path(entry.path).read_bytes()
    return [body] if entry.kind in _NOT_BACK else segment.parse(body).bodies
