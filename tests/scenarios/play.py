"""Acts all stories out with one framework: python -m tests.scenarios.play NAME FOLDER [--resume]

Its spans go where OTEL_EXPORTER_OTLP_* say. FOLDER gets NAME.json, with what could not be played and why,
and what has to be known to read the records. With --resume only the story that goes on in another process
goes on.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

from opentelemetry import trace

from tests.scenarios.stage import Idiom, Stage
from tests.scenarios.stories import REFUND, STORIES
from whodid.instrumentation import current, init
from whodid.instrumentation.context import NOTHING_KNOWN

RESUMED = "approval resumed later"
AFTERWARDS = "afterwards"
"""The name of a span outside of any block, which must be nobody's."""


async def play(framework: str, idiom: Idiom, folder: Path) -> dict[str, str]:
    """All stories; gives what went wrong with those that could not be played to their end."""
    failed: dict[str, str] = {}
    for story in STORIES.values():
        if story.name in idiom.cannot or story.name in idiom.not_yet:
            continue
        try:
            await story.plays(Stage(framework, story.name, idiom, folder))
        except Exception:  # noqa: BLE001 it is told beside the others
            failed[story.name] = traceback.format_exc()
        gc.collect()  # a stream that is dropped ends
        await asyncio.sleep(0)
        if current() is not NOTHING_KNOWN:
            failed[story.name] = f"left behind: {current()}"
        trace.get_tracer("scenarios").start_span(f"{AFTERWARDS} {framework}/{story.name}").end()
    await idiom.close()
    return failed


def about(idiom: Idiom, failed: dict[str, str]) -> dict[str, Any]:
    """What the reader of the records has to know."""
    return {
        "cannot": idiom.cannot,
        "not_yet": idiom.not_yet,
        "prefix": idiom.prefix,
        "delegating": idiom.delegating,
        "handing_over": idiom.handing_over,
        "around": idiom.around,
        "decides_first": idiom.decides_first,
        "lacks": idiom.lacks,
        "errors_are_texts": idiom.errors_are_texts,
        "failed": failed,
    }


async def resume(framework: str, idiom: Idiom, folder: Path) -> None:
    """The second half of the story that goes on in another process."""
    stage = Stage(framework, RESUMED, idiom, folder)
    with stage.asks("alice@acme.example"):
        await stage.go_on(REFUND)


def main() -> None:
    framework, folder = sys.argv[1], Path(sys.argv[2])
    warnings.simplefilter("ignore")  # the frameworks' own
    init(report=False)
    gc.disable()  # what is imported stays: it need not be looked through, now or after each story
    idiom: Idiom = importlib.import_module(f"tests.scenarios.idioms.{framework}").Idiom()
    gc.freeze()
    gc.enable()
    unknown = {*idiom.cannot, *idiom.not_yet} - set(STORIES)
    assert not unknown, f"no such stories: {unknown}"
    if "--resume" in sys.argv[3:]:
        asyncio.run(resume(framework, idiom, folder))
        return
    failed = asyncio.run(play(framework, idiom, folder))
    (folder / f"{framework}.json").write_text(json.dumps(about(idiom, failed)))


if __name__ == "__main__":
    main()
