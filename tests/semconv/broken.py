"""Copies of the conventions' model with something wrong in them."""

from __future__ import annotations

import shutil
from pathlib import Path

from whodid.semconv import check

SEMCONV = Path(__file__).parents[2] / "semconv"


def copy(folder: Path) -> Path:
    """The model and what it depends on, below `folder`, nothing of it released; returns its `semconv`."""
    for name in ("model", "upstream"):
        shutil.copytree(SEMCONV / name, folder / "semconv" / name)
    return folder / "semconv"


def told(semconv: Path) -> list[str]:
    """What `check` says about it: `FILE:LINE: CAUSE -> HINT`, in order."""
    return [
        f"{each.place.path.relative_to(semconv)}:{each.place.line}: {each.cause} -> {each.hint}"
        for each in check.run(semconv)
    ]


def told_of(folder: Path, text: str, beside: str = "model") -> list[str]:
    """What it says with one more file, `zz.yaml`, in the model or in `upstream`."""
    semconv = copy(folder)
    (semconv / beside / "zz.yaml").write_text(text)
    return told(semconv)
