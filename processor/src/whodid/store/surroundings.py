"""Resource and scope in the store: a JSON object each, as one of few texts, and maps that are read from it.

A map in every row was the dearest column there is: a quarter of what a merge of spans costs, for what nearly
all rows have in common.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whodid.store.layout import Layout

SURROUNDINGS = ("resource", "scope")
"""The columns with all attributes of a span's resource and scope as JSON; empty where there are none."""

NOT_JSON = "$json"
"""The one key of the object that stands for a value whose text is no JSON (RFC 8259), such as `NaN`.

And for a sender's map that begins with this key: it would be taken for such an object.
"""

MARKED = f'{{"{NOT_JSON}":'
"""How that object begins."""

FORMER = frozenset(f"{name}_attributes{kind}" for name in SURROUNDINGS for kind in ("", "_other"))
"""What a store of before the first release has instead: maps of strings, and of everything else as JSON."""

_TYPE = "LowCardinality(String)"
_MAP = "Map(LowCardinality(String), String)"


def fields() -> dict[str, str]:
    """The columns' definitions, with a map of each, which is not stored."""
    return dict.fromkeys(SURROUNDINGS, _TYPE) | {
        f"{name}_attributes": f"{_MAP} ALIAS {as_map(name)}" for name in SURROUNDINGS
    }


def as_map(name: str) -> str:
    """All attributes by name: strings as they are, and every other value as JSON."""
    text = (
        "multiIf(startsWith(pair.2, '\"'), JSONExtractString(pair.2), "
        f"startsWith(pair.2, '{MARKED}'), JSONExtractString(pair.2, '{NOT_JSON}'), pair.2)"
    )
    return (
        f"CAST(arrayMap(pair -> (pair.1, {text}), JSONExtractKeysAndValuesRaw(toString({name}))), '{_MAP}')"
    )


def add_to_maps(layout: Layout) -> tuple[str, ...]:
    """The statements that add the columns where there are maps, and read them from these in former rows."""
    added = ", ".join(
        f"ADD COLUMN IF NOT EXISTS {name} {_TYPE} DEFAULT {_of_maps(name)}" for name in SURROUNDINGS
    )
    tables = dict.fromkeys((layout.rows("spans"), layout.whole("spans")))
    return tuple(f"ALTER TABLE {table}{layout.on_cluster} {added}" for table in tables)


def _of_maps(name: str) -> str:
    """What `processor.stages.surroundings` writes."""
    strings, others = f"{name}_attributes", f"{name}_attributes_other"
    pairs = "arrayMap((name, text) -> concat(toJSONString(name), ':', {1}), mapKeys({0}), mapValues({0}))"
    plain = f"isValidJSON(text) AND NOT startsWith(text, '{MARKED}')"
    value = f"if({plain}, text, toJSONString(map('{NOT_JSON}', text)))"
    both = f"arrayConcat({pairs.format(strings, 'toJSONString(text)')}, {pairs.format(others, value)})"
    return f"if(empty({strings}) AND empty({others}), '', concat('{{', arrayStringConcat({both}, ','), '}}'))"
