"""What a service says of itself: where it is, and at its end what was stored and found."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from whodid.processor import listener, ports, storage
from whodid.processor.access import authentication
from whodid.processor.announcement import Announcement
from whodid.processor.receivers.http import PATH

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from whodid.processor.health import Health
    from whodid.processor.settings import Settings
    from whodid.store import Store

Say = Callable[[str], None]
"""Tells a person one text."""


def announcement(settings: Settings, grpc_port: int, api_socket: socket.socket) -> Announcement:
    """For the command line to find it."""
    return Announcement(
        api=f"http://{ports.at(ports.reachable(settings.api.host), ports.port_of(api_socket))}",
        otlp_grpc=f"http://{ports.at(ports.reachable(settings.receiver.host), grpc_port)}",
        pid=os.getpid(),
    )


def report(
    settings: Settings, store: Store, state: Health, grpc_port: int, sockets: Sequence[socket.socket]
) -> str:
    """Where everything is."""
    host = settings.receiver.host
    folder = "spool" if settings.workers == 1 else f"worker-0 … worker-{settings.workers - 1}"
    lines = [
        "whodid is up",
        f"  OTLP/gRPC  {ports.at(host, grpc_port)}",
        f"  OTLP/HTTP  http://{ports.at(host, ports.port_of(sockets[0]))}{PATH}",
        f"  API        http://{ports.at(settings.api.host, ports.port_of(sockets[1]))}",
        f"  store      {store.description}, keeps {storage.retention(settings).description}",
        f"  spool      {settings.data_dir / folder}, "
        f"{state.spool_bytes} of {settings.spool.max_bytes} bytes in use",
    ]
    if settings.store.listen:
        lines.append(
            f"  listener   http://{settings.store.listen}, user {listener.READER}, who may only read"
        )
    if settings.forward.url:
        lines.append(f"  forwards   to {settings.forward.url}, {settings.forward.protocol}")
    lines.insert(4, f"  viewers    {authentication.described(settings)}")
    if not ports.is_loopback(host):
        lines.append(
            f"warning: receiver.host is {host}: there is no authentication yet: whoever reaches it can send"
        )
    return "\n".join(lines)


def end(left_bytes: int) -> str:
    """The last word on what was acknowledged."""
    if left_bytes:
        return f"stopped: {left_bytes} bytes stay in the spool and are stored at the next start"
    return "stopped: everything that was acknowledged is stored"


def found(findings: Mapping[str, int]) -> str:
    """What the validator found in this run, by rule; the spans are in the store, and the findings too."""
    counts = ", ".join(f"{rule} {count}" for rule, count in findings.items())
    return f"findings: {counts or 'none'}"
