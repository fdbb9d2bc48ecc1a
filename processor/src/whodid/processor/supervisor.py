"""The supervisor: the parent of `whodid up --workers N`. It holds the data folder, the ports and the API."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from whodid.processor import adoption, health, notices, ports, storage, web, worker
from whodid.processor.access.relay import Relay
from whodid.processor.access.wiring import Access
from whodid.processor.announcement import announced
from whodid.processor.application import application
from whodid.processor.errors import WhodidError
from whodid.processor.health import Health
from whodid.processor.lock import DataLock
from whodid.processor.memory import unload_what_starting_took
from whodid.processor.pipeline import warm_up
from whodid.processor.signals import stop_on_signal
from whodid.processor.telemetry import unobserved

if TYPE_CHECKING:
    import socket
    from collections.abc import Generator

    from whodid.processor.notices import Say
    from whodid.processor.settings import Settings
    from whodid.store import Store

FIRST_RESTART_AFTER_S = 0.5
LAST_RESTART_AFTER_S = 15.0
STEADY_AFTER_S = 60.0
ANSWER_TIMEOUT_S = 2.0
# Beyond the time that a worker may drain: it also answers the requests that it has in hand.
END_TIMEOUT_S = 15.0


async def run(settings: Settings, say: Say) -> None:
    """Runs `settings.workers` workers until SIGTERM or SIGINT, then lets them drain.

    Raises WhodidError when it cannot start.
    """
    if settings.store_url.startswith("chdb:"):
        raise WhodidError(
            "several workers need a ClickHouse server: the embedded store belongs to one process",
            "set WHODID_STORE__URL=clickhouse://host:port/whodid, or leave out --workers",
        )
    workers: list[_Worker] = []

    def kill() -> None:
        for each in workers:
            each.signal(signal.SIGKILL)

    stop = stop_on_signal(say, at_once=kill)
    with unobserved(), DataLock(settings.data_dir) as lock, _held(settings) as sockets:
        await asyncio.to_thread(warm_up)  # once, before the workers would each do it
        unload_what_starting_took()
        store = await asyncio.to_thread(storage.opened, settings)
        try:
            heir = adoption.folder(settings.data_dir, 0)
            if adopted := adoption.adopt(settings.data_dir, heir, settings.workers):
                say(f"worker 0 delivers {adopted} segments that an earlier start left")
            one = _of_one(settings, sockets)
            workers += [_Worker(number, one, lock.handle, say) for number in range(settings.workers)]
            await _serve(settings, store, sockets, workers, stop, say)
        finally:
            kill()
            await asyncio.to_thread(store.close)


async def _serve(
    settings: Settings,
    store: Store,
    sockets: tuple[socket.socket, socket.socket, socket.socket],
    workers: list[_Worker],
    stop: asyncio.Event,
    say: Say,
) -> None:
    async def ask() -> Health:
        return health.total(await asyncio.gather(*(each.health() for each in workers)))

    grpc_socket, http_socket, api_socket = sockets
    grpc_port = ports.port_of(grpc_socket)
    relay = Relay(settings.receiver, ports.port_of(http_socket))
    app = application(settings, store, ask, Access(settings, relay.accept, say))
    async with web.serving(app, api_socket, max_connections=settings.api.max_connections):
        runs = [asyncio.create_task(each.run()) for each in workers]
        ready = asyncio.gather(*(each.ready.wait() for each in workers))
        await asyncio.wait(
            (ready, asyncio.ensure_future(stop.wait()), *runs), return_when=asyncio.FIRST_COMPLETED
        )
        for done in (each for each in runs if each.done()):
            ready.cancel()
            done.result()  # a worker that cannot start: its error is ours
        with announced(settings.data_dir, notices.announcement(settings, grpc_port, api_socket)):
            if not stop.is_set():
                say(notices.report(settings, store, await ask(), grpc_port, (http_socket, api_socket)))
            await stop.wait()
        ready.cancel()
        for each in workers:
            each.stop()
        await asyncio.wait(runs, timeout=settings.spool.drain_timeout_s + END_TIMEOUT_S)
    _sum_up(workers, say)


def _sum_up(workers: list[_Worker], say: Say) -> None:
    for each in workers:
        state = each.in_all
        say(
            f"worker {each.number}: {state.accepted_requests} requests accepted, "
            f"{state.stored_spans} spans stored, {state.spool_bytes} bytes left, "
            f"restarted {each.restart_count} times"
        )
    say(notices.end(sum(each.last.spool_bytes for each in workers)))
    say(notices.found(health.total(each.in_all for each in workers).findings))


@contextlib.contextmanager
def _held(settings: Settings) -> Generator[tuple[socket.socket, socket.socket, socket.socket]]:
    """The ports of gRPC and HTTP, held for the workers but not listened on; the API's, which is served."""
    receiver = settings.receiver
    with contextlib.ExitStack() as stack:

        def hold(port: int, setting: str) -> socket.socket:
            # Exclusively first: a port that is shared already belongs to another service.
            ports.bind(receiver.host, port, setting).close()
            return stack.enter_context(ports.bind(receiver.host, port, setting, shared=True))

        grpc_socket = hold(receiver.grpc_port, "receiver.grpc_port")
        http_socket = hold(receiver.http_port, "receiver.http_port")
        api_socket = stack.enter_context(ports.bind(settings.api.host, settings.api.port, "api.port"))
        yield grpc_socket, http_socket, api_socket


def _of_one(settings: Settings, sockets: tuple[socket.socket, ...]) -> Settings:
    """The settings of one worker: the ports that were taken, and its share of the spool's limit."""
    receiver = {"grpc_port": ports.port_of(sockets[0]), "http_port": ports.port_of(sockets[1])}
    spool = {"max_bytes": settings.spool.max_bytes // settings.workers}
    return settings.model_copy(
        update={
            "receiver": settings.receiver.model_copy(update=receiver),
            "spool": settings.spool.model_copy(update=spool),
            "data_dir": settings.data_dir.resolve(),
            "workers": 1,
        }
    )


class _Worker:
    """One worker's process, and the next one when it dies."""

    def __init__(self, number: int, settings: Settings, lock_handle: int, say: Say) -> None:
        self.number = number
        self.restart_count = 0
        self.ready = asyncio.Event()
        self.last = Health(spool_max_bytes=settings.spool.max_bytes)
        self._settings = settings
        self._lock_handle = lock_handle
        self._say = say
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._answered = asyncio.Event()
        self._error: WhodidError | None = None
        # What processes that died had done, as far as they were asked.
        self._earlier = Health()

    @property
    def in_all(self) -> Health:
        """Its last state with what earlier processes of it had done."""
        both = health.total((self._earlier, self.last))
        return replace(
            self.last,
            accepted_requests=both.accepted_requests,
            stored_spans=both.stored_spans,
            findings=both.findings,
        )

    async def run(self) -> None:
        """Until `stop`. Raises WhodidError when the first process cannot start."""
        pause_s = FIRST_RESTART_AFTER_S
        while True:
            started_s = time.monotonic()
            code = await self._live()
            if self._stopping.is_set():
                return
            if self._error is not None and not self.ready.is_set():
                raise self._error
            if time.monotonic() - started_s > STEADY_AFTER_S:
                pause_s = FIRST_RESTART_AFTER_S
            why = f": {self._error.cause}" if self._error else ""
            self._say(f"warning: worker {self.number} ended with {code}{why}; started again in {pause_s:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s)
                return
            pause_s = min(pause_s * 2, LAST_RESTART_AFTER_S)
            self.restart_count += 1

    def stop(self) -> None:
        self._stopping.set()
        self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def health(self) -> Health:
        """Its state now. One that does not answer has its last figures, and a reason not to be ready."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._ask()
        except (TimeoutError, OSError):
            return health.with_reason(self.in_all, f"worker {self.number} does not answer")
        return self.in_all

    async def _ask(self) -> None:
        process = self._process
        if process is None or process.stdin is None or process.returncode is not None:
            raise ConnectionError
        self._answered.clear()
        process.stdin.write(b"\n")
        await process.stdin.drain()
        await self._answered.wait()

    async def _live(self) -> int:
        """Starts a process, hears what it says, and returns its exit code."""
        self._error = None
        # A session of its own: Ctrl-C goes to the whole group, and a worker's second signal ends it at once.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            worker.__name__,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=(self._lock_handle,),
            start_new_session=True,
            limit=worker.MAX_LINE_BYTES,
        )
        self._process = process
        assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - for the type checker
        folder = adoption.folder(self._settings.data_dir, self.number)
        with contextlib.suppress(OSError):
            process.stdin.write(worker.task(self._settings, folder))
            await process.stdin.drain()
        if self._stopping.is_set():
            self.signal(signal.SIGTERM)
        while line := await process.stdout.readline():
            self._hear(json.loads(line))
        code = await process.wait()
        if not self._stopping.is_set():
            self._earlier = health.total((self._earlier, self.last))
            self.last = Health(spool_bytes=self.last.spool_bytes, spool_max_bytes=self.last.spool_max_bytes)
        return code

    def _hear(self, said: dict[str, Any]) -> None:
        if "say" in said:
            self._say(f"worker {self.number}: {said['say']}")
        elif "ready" in said:
            self.ready.set()
        elif "error" in said:
            self._error = WhodidError(**said["error"])
        elif "health" in said or "end" in said:
            state: dict[str, Any] = said.get("health") or said["end"]["health"]
            self.last = health.from_dict(state)
            self._answered.set()
