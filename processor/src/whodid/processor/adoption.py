"""Spools that an earlier start with another number of workers left: moved to one that is still delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from whodid.processor import segment
from whodid.processor.errors import WhodidError
from whodid.processor.spool import FOLDER, PAST

if TYPE_CHECKING:
    from pathlib import Path


def folder(data_dir: Path, worker: int) -> Path:
    """The folder of one worker, which holds its spool."""
    return data_dir / f"worker-{worker}"


def adopt(data_dir: Path, heir: Path, worker_count: int = 0) -> int:
    """Moves every segment of a spool that nobody uses now into the heir's; how many. Raises WhodidError.

    A segment keeps its name, so the store knows it again whoever delivers it. Only for the holder of the data
    folder's lock, before any spool is opened.
    """
    used = {folder(data_dir, number) for number in range(worker_count)} | {heir}
    target = heir / FOLDER
    moved = 0
    try:
        for owner in [data_dir, *sorted(data_dir.glob("worker-*"))]:
            if owner in used:
                continue
            # With the marks of what a destination is past, before the segments that they are about.
            left = sorted((owner / FOLDER).glob(f"*{segment.SUFFIX}{PAST}*"))
            left += sorted((owner / FOLDER).glob(f"*{segment.SUFFIX}"))
            if left:
                target.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in left:
                # What says that a cursor is past it goes first: otherwise that one might take it once more.
                for mark in (owner / FOLDER).glob(f"{path.name}{PAST}*"):
                    mark.rename(target / mark.name)
                path.rename(target / path.name)
            if left:
                segment.sync(target)
                segment.sync(owner / FOLDER)
            moved += sum(path.suffix == segment.SUFFIX for path in left)
    except OSError as error:
        raise WhodidError(
            f"a spool below {data_dir} cannot be moved: {error}", "check WHODID_DATA_DIR"
        ) from error
    return moved
