"""Addresses and ports: bound before anything else is opened, and told apart from each other's."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket

from whodid.processor.errors import WhodidError

LOOK_TIMEOUT_S = 2.0


def bind(host: str, port: int, setting: str, *, shared: bool = False) -> socket.socket:
    """A socket bound to the port; with `shared` other processes of this service may bind it too.

    Raises WhodidError that names the setting.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            # Never both: with SO_REUSEADDR a stranger could bind a port that is held and not listened on.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT if shared else socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        flag = "--" + setting.removeprefix("receiver.").replace("_", "-").replace(".", "-")
        raise WhodidError(
            f"cannot listen on {at(host, port)}: {error.strerror}",
            f"stop what uses it, or choose another with {flag} (setting {setting}; 0 takes a free port)",
        ) from error
    return bound


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def reachable(host: str) -> str:
    """Where this machine reaches what listens on `host`."""
    return "127.0.0.1" if is_wildcard(host) else host


def at(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def is_listened_on(host: str, port: int) -> bool:
    """False where a connection is refused; a listener that is merely slow or out of handles still listens."""
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            _, writer = await asyncio.open_connection(reachable(host), port)
    except ConnectionRefusedError:
        return False
    except OSError:  # a TimeoutError is one
        return True
    writer.close()
    return True


def port_of(bound: socket.socket) -> int:
    return bound.getsockname()[1]


def leads_to(host: str, bound_host: str) -> bool:
    """Whether a connection to `host` arrives at what listens on `bound_host` of this machine.

    A name that cannot be resolved leads nowhere.
    """
    targets = _addresses(host)
    if any(is_wildcard(each) for each in targets):  # the kernel connects to itself
        targets |= {"127.0.0.1", "::1"}
    if is_wildcard(bound_host):
        return any(_is_of_this_machine(each) for each in targets)
    return bool(targets & _addresses(bound_host))


def _addresses(host: str) -> set[str]:
    try:
        found = {str(each[4][0]).partition("%")[0] for each in socket.getaddrinfo(host, None)}
    except OSError:
        return set()
    return {each.removeprefix("::ffff:") if "." in each else each for each in found}


def _is_of_this_machine(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))  # refused for every address that is another machine's
        return True
    return False
