"""Attribution across a hop, as W3C baggage entries named like the attributes.

Never in the ambient baggage, which every HTTP client would send to any host: an adapter writes it into the
carrier of one hop. What arrives is self-asserted, and bounded. Source: W3C Baggage.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast
from urllib.parse import quote, unquote_plus

from whodid.instrumentation.blocks import MAX_VALUE_CHARS
from whodid.instrumentation.context import (
    ATTRIBUTES,
    CREDENTIAL_ATTRIBUTES,
    MAX_CHAIN_ITEMS,
    Attribution,
    Credential,
)

HEADER: Final = "baggage"
MAX_BYTES: Final = 8192
"""The size that the standard asks every platform to carry; more might be dropped on the way, as a whole."""

_STAYS: Final = frozenset({"objective_text"})
_FIELDS: Final = tuple((field, name) for field, name in ATTRIBUTES if field not in _STAYS)
_OURS: Final = frozenset(name for _, name in (*_FIELDS, *CREDENTIAL_ATTRIBUTES))
_LISTS: Final = frozenset({"chain", "scopes", "audiences"})


def encode(attribution: Attribution, existing: str = "", max_bytes: int = MAX_BYTES) -> str:
    """The `baggage` header: others' `existing` entries as they are, then ours in place of older ones.

    What does not fit into `max_bytes` is left out, whole entries, the least important first.
    """
    kept = _others(existing)
    room = max_bytes - sum(len(entry.encode()) + 1 for entry in kept)
    for entry in _ours(attribution):
        room -= len(entry) + 1
        if room < 0:
            break
        kept.append(entry)
    return ",".join(kept)


def without_ours(existing: str) -> str:
    """The header without our entries; as it is, to the byte, where there are none."""
    kept = _others(existing)
    return existing if len(kept) == len(_entries(existing)) else ",".join(kept)


def decode(header: str | None) -> Attribution | None:
    """What the other side says; None if it says nothing. What is malformed or too long is not said."""
    if not header or len(header) > MAX_BYTES:
        return None
    said: dict[str, str] = {}
    for entry in _entries(header):
        key, _, value = entry.partition(";")[0].partition("=")
        if key.strip() in _OURS:
            said[key.strip()] = unquote_plus(value.strip(), errors="replace")
    found = _read(said, _FIELDS)
    credential = _read(said, CREDENTIAL_ATTRIBUTES)
    if "id" in credential:
        found["credential"] = Credential(**credential)
    return Attribution(**found, remote=True) if found else None


def inject(carrier: dict[str, Any], attribution: Attribution) -> None:
    """Write it into a carrier, such as an MCP request's `_meta`, beside what is there."""
    before = carrier.get(HEADER)
    header = encode(attribution, before if isinstance(before, str) else "")
    if header:
        carrier[HEADER] = header


def extract(carrier: Mapping[str, Any] | None) -> Attribution | None:
    """Read it from a carrier; None if it holds none."""
    header = None if carrier is None else carrier.get(HEADER)
    return decode(header) if isinstance(header, str) else None


def _ours(attribution: Attribution) -> Iterable[str]:
    sources: list[tuple[object, tuple[tuple[str, str], ...]]] = [(attribution, _FIELDS)]
    if attribution.credential is not None:
        sources.append((attribution.credential, CREDENTIAL_ATTRIBUTES))
    for source, table in sources:
        for field, name in table:
            value: Any = getattr(source, field)
            if value is None or value == ():
                continue
            text = json.dumps(value, separators=(",", ":")) if field in _LISTS else str(value)
            yield f"{name}={quote(text, safe='', errors='replace')}"


def _read(said: Mapping[str, str], table: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field, name in table:
        text = said.get(name)
        if not text:
            continue
        value = _list(text) if field in _LISTS else text if len(text) <= MAX_VALUE_CHARS else None
        if value:
            found[field] = value
    return found


def _list(text: str) -> tuple[str, ...] | None:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, list):
        return None
    items = cast("list[Any]", value)
    if len(items) > MAX_CHAIN_ITEMS or not all(
        isinstance(item, str) and len(item) <= MAX_VALUE_CHARS for item in items
    ):
        return None
    return tuple(items)


def _others(header: str) -> list[str]:
    return [entry for entry in _entries(header) if _key(entry) not in _OURS]


def _entries(header: str) -> list[str]:
    return [entry.strip() for entry in header.split(",") if entry.strip()]


def _key(entry: str) -> str:
    return entry.partition("=")[0].strip()
