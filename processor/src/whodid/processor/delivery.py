"""Delivery: one thread takes sealed segments from the spool, through the pipeline, to the store."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from whodid.processor import pipeline, segment
from whodid.processor.errors import WhodidError
from whodid.store import StoreUnavailableError

if TYPE_CHECKING:
    from whodid.processor.quarantine import Quarantine
    from whodid.processor.segment import Segment
    from whodid.processor.spool import Spool
    from whodid.processor.stages.seal import Sealed

FIRST_RETRY_AFTER_S = 0.5
LAST_RETRY_AFTER_S = 15.0
_IDLE_S = 1.0

Say = Callable[[str], None]


class Writer(Protocol):
    """What delivery needs of the store."""

    @property
    def description(self) -> str: ...

    def insert(self, sealed: Sealed, token: str) -> None: ...


class Delivery:
    """The thread and its retries. A segment leaves the spool when the store has it, and only then.

    The segment's id is the deduplication token: a segment that is delivered again, because the process was
    killed between the insert and the removal, changes nothing.
    """

    def __init__(self, spool: Spool, store: Writer, quarantine: Quarantine, say: Say) -> None:
        self._spool = spool
        self._store = store
        self._quarantine = quarantine
        self._say = say
        self._away = False
        self._findings: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._deadline_s = float("inf")
        self._thread = threading.Thread(target=self._run, name="whodid-delivery", daemon=True)

    @property
    def store_is_away(self) -> bool:
        return self._away

    @property
    def findings(self) -> Mapping[str, int]:
        """How often each rule has found something in what was stored since the start, most often first."""
        return dict(self._findings.most_common())

    def start(self) -> None:
        self._thread.start()

    def drain(self, timeout_s: float) -> bool:
        """Delivers what is in the closed spool; False when something is left after `timeout_s`."""
        self._deadline_s = time.monotonic() + timeout_s
        self._stopping.set()
        # An insert that is under way may take its own time-out; the process ends without waiting for that.
        self._thread.join(timeout_s + 1.0)
        return not self._thread.is_alive() and self._spool.take(0.0, now=True) is None

    def _run(self) -> None:
        retry_after_s = FIRST_RETRY_AFTER_S
        while time.monotonic() < self._deadline_s:
            stopping = self._stopping.is_set()
            taken = self._spool.take(0.0 if stopping else _IDLE_S / 4, now=stopping)
            if taken is None:
                if stopping:
                    return
                continue
            if self._deliver(taken):
                retry_after_s = FIRST_RETRY_AFTER_S
                continue
            left_s = max(self._deadline_s - time.monotonic(), 0.0)
            self._pause(min(retry_after_s, left_s))
            retry_after_s = min(retry_after_s * 2, LAST_RETRY_AFTER_S)

    def _pause(self, pause_s: float) -> None:
        """Waits; a stop ends the wait, once."""
        if self._stopping.is_set():
            time.sleep(min(pause_s, FIRST_RETRY_AFTER_S))
        else:
            self._stopping.wait(pause_s)

    def _deliver(self, taken: Segment) -> bool:
        """True when the segment is out of the spool; False when it has to be tried again."""
        try:
            sealed, kept_bytes = self._insert(taken)
            self._spool.done(taken, kept_bytes)
        except StoreUnavailableError as error:
            self._lost(error)
            return False
        except OSError as error:
            self._say(f"warning: segment {taken.id} cannot be read or removed: {error}")
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the thread
            return self._set_aside(taken, error)
        # Not before it is out of the spool: what is delivered again counts once. A new object: it is shared.
        self._findings = self._findings + _by_rule(sealed)
        if self._away:
            self._away = False
            self._say(f"{self._store.description} is back: storing what waited")
        return True

    def _insert(self, taken: Segment) -> tuple[Sealed, int]:
        """Returns what was stored, and how many bytes of the segment are in quarantine instead."""
        requests = taken.requests()
        sound = requests
        try:
            sealed = pipeline.run(requests, taken.arrived_on)
        except Exception:  # noqa: BLE001 - one request that the pipeline cannot take must not hold up the others
            sound = self._sound(taken, requests)
            sealed = pipeline.run(sound, taken.arrived_on)
        self._store.insert(sealed, token=taken.id)
        return sealed, segment.framed_bytes(requests) - segment.framed_bytes(sound)

    def _sound(self, taken: Segment, requests: Sequence[bytes]) -> list[bytes]:
        """The requests that the pipeline can take; the others go to quarantine, which they survive."""
        sound: list[bytes] = []
        for number, request in enumerate(requests):
            try:
                pipeline.run([request])
            except Exception as error:
                name = f"{taken.id}-{number}"
                if not self._quarantine.keep_acknowledged(name, [request], _reason(error)):
                    raise
                self._say(
                    f"warning: request {name} cannot be processed and is kept in quarantine: {_reason(error)}"
                )
            else:
                sound.append(request)
        return sound

    def _set_aside(self, taken: Segment, error: Exception) -> bool:
        try:
            kept = self._spool.set_aside(taken, _reason(error))
        except OSError:
            kept = False
        where = "kept in quarantine" if kept else "still in the spool: it cannot be moved to quarantine"
        self._say(f"warning: segment {taken.id} was refused for good and is {where}: {_reason(error)}")
        return kept

    def _lost(self, error: StoreUnavailableError) -> None:
        """Says once that the store is away; every retry would say the same."""
        if not self._away:
            self._away = True
            self._say(f"warning: {error.cause}\nhint: {error.hint}; what arrives is kept in the spool")


def _by_rule(sealed: Sealed) -> Counter[str]:
    counted = sealed.findings.column("rule").value_counts().to_pylist()
    return Counter({each["values"]: each["counts"] for each in counted})


def _reason(error: Exception) -> str:
    cause = error.cause if isinstance(error, WhodidError) else f"{type(error).__name__}: {error}"
    return cause.splitlines()[0][:500] if cause else type(error).__name__
