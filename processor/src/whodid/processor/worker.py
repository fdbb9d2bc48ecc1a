"""A worker: one process of `whodid up --workers N`, started and asked by the supervisor.

`python -m whodid.processor.worker`. On stdin it reads JSON a line: first what to do, then questions; it
answers on stdout, JSON a line. The end of stdin is the supervisor's end, and then this process ends as well.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from whodid.processor import ports, storage
from whodid.processor.errors import WhodidError
from whodid.processor.ingest import Ingest
from whodid.processor.lock import DataLock
from whodid.processor.settings import Settings
from whodid.processor.signals import stop_on_signal
from whodid.processor.telemetry import unobserved

MAX_LINE_BYTES = 1024 * 1024


def task(settings: Settings, folder: Path) -> bytes:
    """The first line for a worker: its settings, with the store's password, which no argument should have."""
    document = settings.model_dump(mode="json")
    document["store"]["url"] = settings.store.url.get_secret_value()
    document["forward"]["headers"] = settings.forward.headers.get_secret_value()
    return json.dumps({"settings": document, "folder": str(folder)}).encode() + b"\n"


def _tell(kind: str, content: Any) -> None:
    sys.stdout.write(json.dumps({kind: content}) + "\n")
    sys.stdout.flush()


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def _answer(questions: asyncio.StreamReader, ingest: Ingest, stop: asyncio.Event) -> None:
    """Each further line asks for the state; the end of them means that nobody asks any more."""
    while await questions.readline():
        _tell("health", asdict(ingest.health()))
    stop.set()


async def _run() -> None:
    stop = stop_on_signal(lambda _text: None)
    questions = await _stdin()
    first: dict[str, Any] = json.loads(await questions.readline())
    document: dict[str, Any] = first["settings"]
    document["store"]["url"] = SecretStr(document["store"]["url"])
    document["forward"]["headers"] = SecretStr(document["forward"]["headers"])
    settings, folder = Settings(**document), Path(first["folder"])
    # The supervisor has brought the tables up to date: this opens no connection yet.
    store = storage.unopened(settings)
    receiver = settings.receiver
    with (
        unobserved(),
        DataLock(folder),
        ports.bind(receiver.host, receiver.http_port, "receiver.http_port", shared=True) as http_socket,
    ):
        try:
            ingest = Ingest(
                settings, folder, store, http_socket, lambda text: _tell("say", text), shared=True
            )
            answering = asyncio.create_task(_answer(questions, ingest, stop))
            async with ingest.serving():
                _tell("ready", {})
                await stop.wait()
            left_bytes = await ingest.drain()
            _tell("end", {"left_bytes": left_bytes, "health": asdict(ingest.health())})
            answering.cancel()
        finally:
            await asyncio.to_thread(store.close)


def main() -> None:
    atexit.register(gc.freeze)  # as in `whodid.cli.main`
    try:
        asyncio.run(_run())
    except WhodidError as error:
        _tell("error", {"cause": error.cause, "hint": error.hint})
        sys.exit(1)


if __name__ == "__main__":
    main()
