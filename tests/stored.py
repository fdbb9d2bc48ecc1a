"""Reads what a stopped service has stored, column by column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whodid.store.connection import Location, connect


def spans(data_dir: Path) -> list[dict[str, Any]]:
    """Every column of every stored span, in the order of their ids."""
    client = connect(Location.parse(f"chdb://{data_dir / 'store'}"))
    try:
        query = "SELECT * FROM whodid.spans ORDER BY trace_id, span_id"
        return client.query_arrow(query, use_strings=True).to_pylist()
    finally:
        client.close()
