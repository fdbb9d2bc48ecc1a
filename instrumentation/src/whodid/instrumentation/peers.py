"""To whom attribution is sent and from whom it is accepted: by default this machine, and nobody else."""

from __future__ import annotations

import functools
import ipaddress
from typing import Final

from whodid.instrumentation import settings

THIS_MACHINE: Final = "localhost"
"""Loopback addresses, and the pipes and environments of processes that are started here or started us."""
ANYONE: Final = "*"


def sends_to(host: str | None, port: int | None = None) -> bool:
    """Whether attribution may go to this host. An unknown host gets none."""
    return host is not None and _listed(settings.current().send_to, _plain(host), port)


def accepts_from(peer: str | None) -> bool:
    """Whether what this peer says for whom it calls is taken over. An unknown peer's is not."""
    return peer is not None and _listed(settings.current().accept_from, _plain(peer), None)


@functools.lru_cache(maxsize=1024)
def _listed(patterns: tuple[str, ...], host: str, port: int | None) -> bool:
    return any(_matches(_plain(pattern), host, port) for pattern in patterns)


def _matches(pattern: str, host: str, port: int | None) -> bool:
    if pattern == ANYONE:
        return True
    address = _address(host)
    if pattern == THIS_MACHINE:
        return host == THIS_MACHINE or (address is not None and address.is_loopback)
    if pattern.startswith("*."):
        return host.endswith(pattern[1:])
    if "/" in pattern:
        network = _network(pattern)
        return address is not None and network is not None and address in network
    if pattern == host or (address is not None and _address(pattern) == address):
        return True
    name, _, wanted = pattern.rpartition(":")
    return bool(name) and wanted == str(port) and _matches(name.strip("[]"), host, None)


def _plain(host: str) -> str:
    return host.strip().lower().rstrip(".").removeprefix("[").removesuffix("]")


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
