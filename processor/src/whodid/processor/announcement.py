"""What a running service says about itself in its data folder, for the command line to find it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "service.json"


@dataclass(frozen=True, slots=True)
class Announcement:
    """Where a running service is: base URLs, and the process."""

    api: str
    otlp_grpc: str
    pid: int


@contextlib.contextmanager
def announced(data_dir: Path, announcement: Announcement) -> Generator[None]:
    """While the block runs, the folder says that a service runs on it. Never half a file."""
    path = data_dir / FILE
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(announcement)) + "\n")
    fresh.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def read(data_dir: Path) -> Announcement | None:
    """The service that runs on this folder; None where none does."""
    try:
        # A service that was killed leaves its file behind.
        said = Announcement(**json.loads((data_dir / FILE).read_text()))
        os.kill(said.pid, 0)
    except (OSError, ValueError, TypeError):
        return None
    return said
