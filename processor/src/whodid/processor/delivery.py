"""Delivery: one thread a destination takes sealed segments from the spool, through the pipeline, to there.

While it waits for the destination, another one prepares the segment that follows.
"""

from __future__ import annotations

import datetime
import random
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from whodid.processor import pipeline, spool
from whodid.processor.bodies import Requests, parts
from whodid.processor.errors import WhodidError
from whodid.processor.settings import DEFAULT_LIMITS, LimitSettings
from whodid.processor.telemetry import Telemetry
from whodid.store import StoreUnavailableError
from whodid.store.payload import Payload

if TYPE_CHECKING:
    from whodid.processor.quarantine import Quarantine
    from whodid.processor.segment import Corrupt, Segment
    from whodid.processor.spool import Spool

FIRST_RETRY_AFTER_S = 0.5
LAST_RETRY_AFTER_S = 15.0
_IDLE_S = 1.0
PART_BYTES = 18 << 20
"""How much of a segment is in the pipeline at a time, where it takes several times its size: half a full one.

Each part costs some 15 ms of CPU, however small it is (docs/decisions/0057).
"""

Say = Callable[[str], None]
Prepared = TypeVar("Prepared")


def backed_off_s(failures: int) -> float:
    """How long to wait after so many failures in a row: doubled each time, and a half of it by chance.

    By chance, so that workers and replicas that lost the store at one moment do not all come back at another.
    """
    longest_s = min(FIRST_RETRY_AFTER_S * 2 ** min(failures - 1, 10), LAST_RETRY_AFTER_S)
    return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret


class _EndingError(Exception):
    """No thread takes any work: the process ends, which no segment can help. It stays in the spool."""


class Courier(ABC, Generic[Prepared]):
    """The thread and its retries. A segment leaves the cursor when the destination has it, and only then."""

    cursor: str
    away: tuple[type[WhodidError], ...]
    """What `send` raises when it may succeed later, perhaps with `retry_after_s`. All else is for good."""

    def __init__(self, spool: Spool, quarantine: Quarantine, say: Say) -> None:
        self._spool = spool
        self._quarantine = quarantine
        self._say = say
        self._away = False
        self._stopping = threading.Event()
        self._deadline_s = float("inf")
        self._ahead: tuple[Segment, Future[Prepared]] | None = None
        self._preparing = ThreadPoolExecutor(1, thread_name_prefix=f"whodid-{self.cursor}-ahead")
        self._thread = threading.Thread(target=self._run, name=f"whodid-{self.cursor}", daemon=True)

    @property
    @abstractmethod
    def description(self) -> str:
        """The destination in words."""

    @abstractmethod
    def prepare(self, requests: Requests, arrived_on: datetime.date | None) -> Prepared:
        """What the pipeline makes of the requests. Whatever it raises is one of the requests' fault."""

    @abstractmethod
    def send(self, prepared: Prepared, taken: Segment) -> None:
        """Brings it there."""

    def observed(self) -> AbstractContextManager[None]:
        """What is around preparing and sending a segment."""
        return nullcontext()

    def delivered(self, prepared: Prepared, taken: Segment) -> None:
        """Called when the segment is out of the spool."""

    @property
    def is_away(self) -> bool:
        return self._away

    def start(self) -> None:
        self._thread.start()

    def drain(self, timeout_s: float) -> bool:
        """Delivers what is in the closed spool; False when something is left after `timeout_s`."""
        self._deadline_s = time.monotonic() + timeout_s
        self._stopping.set()
        # A delivery that is under way may take its own time-out; the process ends without waiting for that.
        self._thread.join(timeout_s + 1.0)
        return not self._thread.is_alive() and self._spool.take(0.0, now=True, cursor=self.cursor) is None

    def _run(self) -> None:
        with self._preparing:
            self._deliver_all()

    def _deliver_all(self) -> None:
        failures = 0
        while time.monotonic() < self._deadline_s:
            stopping = self._stopping.is_set()
            taken = self._spool.take(0.0 if stopping else _IDLE_S / 4, now=stopping, cursor=self.cursor)
            if taken is None:
                if stopping:
                    return
                continue
            retry_after_s = self._deliver(taken)
            if retry_after_s is None:
                failures = 0
                continue
            failures += 1
            left_s = max(self._deadline_s - time.monotonic(), 0.0)
            self._pause(min(max(backed_off_s(failures), retry_after_s), left_s))

    def _pause(self, pause_s: float) -> None:
        """Waits; a stop ends the wait, once."""
        if self._stopping.is_set():
            time.sleep(min(pause_s, FIRST_RETRY_AFTER_S))
        else:
            self._stopping.wait(pause_s)

    def _deliver(self, taken: Segment) -> float | None:
        """None when the segment is out of the spool; otherwise the least time to wait before trying again."""
        try:
            with self.observed():
                prepared = self._taken_or_prepared(taken)
                self._look_ahead(taken)
                self.send(prepared, taken)
            self._spool.done(taken, cursor=self.cursor)
        except self.away as error:
            self._lost(error)
            return float(getattr(error, "retry_after_s", None) or 0.0)
        except _EndingError:
            return 0.0
        except OSError as error:
            self._say(f"warning: segment {taken.id} cannot be read or removed: {error}")
            return 0.0
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the thread
            return None if self._set_aside(taken, error) else 0.0
        # Not before it is out of the spool: what is delivered again counts once.
        self.delivered(prepared, taken)
        if self._away:
            self._away = False
            self._say(f"{self.description} is back: what waited goes there")
        return None

    def _look_ahead(self, taken: Segment) -> None:
        """Has the segment behind this one prepared meanwhile: of every two one waits, and not more."""
        following = self._spool.following(taken, cursor=self.cursor)
        if self._ahead is None and following is not None:
            self._ahead = following, self._in_its_thread(following)

    def _in_its_thread(self, segment: Segment) -> Future[Prepared]:
        """The segment prepared by the one thread for it. Raises _EndingError when the process ends."""
        try:
            return self._preparing.submit(self._prepared, segment)
        except RuntimeError as error:
            raise _EndingError from error

    def _taken_or_prepared(self, taken: Segment) -> Prepared:
        """What was prepared ahead, if it is of this segment. Raises what preparing it raised."""
        if self._ahead is None or self._ahead[0] is not taken:
            # By the same thread: glibc keeps what each thread frees for that thread's next segment.
            return self._in_its_thread(taken).result()
        (_, future), self._ahead = self._ahead, None
        return future.result()

    def _prepared(self, taken: Segment) -> Prepared:
        """What the pipeline makes of the segment, without what it cannot take: that goes to quarantine."""
        parsed = taken.read()
        for corrupt in parsed.corrupt:
            self._keep_corrupt(taken, corrupt)
        try:
            return self.prepare(parsed.whole, taken.arrived_on)
        except Exception:  # noqa: BLE001 - one request that the pipeline cannot take must not hold up the others
            return self.prepare(self._sound(taken, parsed.whole), taken.arrived_on)

    def _keep_corrupt(self, taken: Segment, corrupt: Corrupt) -> None:
        if not self._quarantine.keep_corrupt(taken.id, corrupt):
            raise OSError("a corrupt record in it cannot be moved to quarantine")
        self._spool.recount()
        self._say(
            f"warning: segment {taken.id} holds {len(corrupt.content)} bytes at {corrupt.offset} that are no "
            "whole record; they are kept in quarantine, and what follows goes on"
        )

    def _sound(self, taken: Segment, requests: Iterable[bytes]) -> list[bytes]:
        """The requests that the pipeline can take; the others go to quarantine, which they survive."""
        sound: list[bytes] = []
        for number, request in enumerate(requests):
            try:
                self.prepare([request], taken.arrived_on)
            except Exception as error:
                name = f"{taken.id}-{number}"
                if not self._quarantine.keep_acknowledged(name, [request], _reason(error), self.cursor):
                    raise
                self._spool.recount()
                self._say(
                    f"warning: request {name} cannot be processed and is kept in quarantine: {_reason(error)}"
                )
            else:
                sound.append(request)
        return sound

    def _set_aside(self, taken: Segment, error: Exception) -> bool:
        try:
            kept = self._spool.set_aside(taken, _reason(error), cursor=self.cursor)
        except OSError:
            kept = False
        where = "kept in quarantine" if kept else "still in the spool: it cannot be moved to quarantine"
        self._say(f"warning: segment {taken.id} was refused for good and is {where}: {_reason(error)}")
        return kept

    def _lost(self, error: WhodidError) -> None:
        """Says once that the destination is away; every retry would say the same."""
        if not self._away:
            self._away = True
            self._say(f"warning: {error.cause}\nhint: {error.hint}; what arrives is kept in the spool")


class Writer(Protocol):
    """What delivery needs of the store."""

    @property
    def description(self) -> str: ...

    def send(self, payload: Payload, token: str) -> None: ...


class Delivery(Courier[Payload]):
    """To the store. The segment's id is the deduplication token: a segment that is delivered again, because
    the process was killed between the insert and the removal, changes nothing.
    """

    cursor = spool.STORE
    away = (StoreUnavailableError,)

    def __init__(
        self,
        spool: Spool,
        store: Writer,
        quarantine: Quarantine,
        say: Say,
        telemetry: Telemetry | None = None,
        tenant: str = "",
        limits: LimitSettings = DEFAULT_LIMITS,
    ) -> None:
        super().__init__(spool, quarantine, say)
        self._store = store
        self._tenant = tenant
        self._limits = limits
        self._telemetry = telemetry or Telemetry()
        self._findings: Counter[str] = Counter()

    @property
    def description(self) -> str:
        return self._store.description

    @property
    def store_is_away(self) -> bool:
        return self.is_away

    @property
    def findings(self) -> Mapping[str, int]:
        """How often each rule has found something in what was stored since the start, most often first."""
        return dict(self._findings.most_common())

    def prepare(self, requests: Requests, arrived_on: datetime.date | None) -> Payload:
        return Payload.of(
            pipeline.run(part, arrived_on, tenant=self._tenant, limits=self._limits)
            for part in parts(requests, PART_BYTES)
        )

    def send(self, prepared: Payload, taken: Segment) -> None:
        self._store.send(prepared, token=taken.id)

    def delivered(self, prepared: Payload, taken: Segment) -> None:
        self._findings = self._findings + prepared.found  # a new object: it is shared
        self._telemetry.stored(prepared.spans.row_count, taken.id, prepared.found)

    def observed(self) -> AbstractContextManager[None]:
        return self._telemetry.delivering()


def _reason(error: Exception) -> str:
    cause = error.cause if isinstance(error, WhodidError) else f"{type(error).__name__}: {error}"
    return cause.splitlines()[0][:500] if cause else type(error).__name__
