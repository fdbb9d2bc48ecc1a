"""Whether the delegation chain leads from the principal to the acting agent, and on from the parent's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from whodid.processor.arrow import pa, pc
from whodid.processor.batch import Findings, Mask, Rows
from whodid.processor.rules.telling import per_row, pick, quoted
from whodid.processor.rules.view import View, differ, encode, first_rows, uses
from whodid.semconv import attributes as attr
from whodid.semconv.values import FindingRule

_CHAIN = attr.ATTRIBUTION_DELEGATION_CHAIN
_WITH_CHAIN = uses(_CHAIN)


def chain_broken(view: View) -> Iterator[Findings]:
    """The chain does not begin with the principal, end with the agent, or go on from the parent's chain."""
    chains = view.lists(_CHAIN)
    if chains is None:
        return
    said = np.logical_or.reduce([view.operation(name) for name in _WITH_CHAIN])
    lengths = np.asarray(pc.fill_null(pc.list_value_length(chains), 0)).astype(np.int64)
    rows = np.flatnonzero(said & (lengths > 0))
    if not len(rows):
        return
    yield from _ends(view, chains, rows)
    yield from _not_on_from_parent(view, chains, lengths, rows)


def _ends(view: View, chains: Any, rows: Rows) -> Iterator[Findings]:
    links, offsets = chains.values, np.asarray(chains.offsets).astype(np.int64)
    for positions, name, word in (
        (offsets[rows], attr.ATTRIBUTION_PRINCIPAL_ID, "begins"),
        (offsets[rows + 1] - 1, attr.GEN_AI_AGENT_NAME, "ends"),
    ):
        values = view.values(name)
        if values is None:
            continue
        wrong = differ(pick(links, positions), pick(values, rows))
        found, at_end = rows[wrong], positions[wrong]
        yield from per_row(
            FindingRule.CHAIN_BROKEN,
            _CHAIN,
            found,
            lambda at, name=name, word=word, found=found, at_end=at_end: (
                f"the chain {word} with {quoted(links[int(at_end[at])].as_py())}; "
                f"expected {quoted(view.text(name, found[at]))}, the {name}"
            ),
            f"the chain {word} with another than the {name}",
        )


def _not_on_from_parent(view: View, chains: Any, lengths: Rows, rows: Rows) -> Iterator[Findings]:
    """The parent's chain is no beginning of the span's.

    A span on behalf of another principal than its parent's has a chain of its own: that is said in the open,
    and is a question of authority, not a broken record.
    """
    rows, parents = _parents(view, rows)
    principals = view.texts(attr.ATTRIBUTION_PRINCIPAL_ID)
    goes_on = (lengths[parents] > 0) & ~differ(pick(principals, rows), pick(principals, parents))
    rows, parents = rows[goes_on], parents[goes_on]
    broken = lengths[rows] < lengths[parents]
    broken[~broken] |= ~_begins_with(chains, rows[~broken], parents[~broken], lengths)
    rows, parents = rows[broken], parents[broken]
    yield from per_row(
        FindingRule.CHAIN_BROKEN,
        _CHAIN,
        rows,
        lambda at: (
            f"the chain is {_told(chains, rows[at])}; "
            f"expected {_told(chains, parents[at])} as its parent's is, or that and more"
        ),
        "the chain does not go on from its parent's; expected the same or a longer one",
    )


def _parents(view: View, rows: Rows) -> tuple[Rows, Rows]:
    """The rows whose parent is in the batch, and their parents'."""
    everyone = np.arange(view.row_count)
    traces = view.numbers("trace_id")
    parent_ids = view.numbers("parent_span_id")[:, 0]
    children = rows[parent_ids[rows] != 0]
    span_ids = pa.array(view.numbers("span_id")[:, 0])
    parents = first_rows(span_ids, everyone, pa.array(parent_ids[children]))
    differing = traces[parents] != traces[children]
    elsewhere = (parents >= 0) & (differing[:, 0] | differing[:, 1])
    if elsewhere.any():  # two traces have one span id: whole ids tell them apart, and take longer
        wanted = pick(view.ids("trace_id", "parent_span_id"), children[elsewhere])
        parents[elsewhere] = first_rows(view.ids("trace_id", "span_id"), everyone, wanted)
    return children[parents >= 0], parents[parents >= 0]


def _begins_with(chains: Any, rows: Rows, parents: Rows, lengths: Rows) -> Mask:
    """Where a row's chain begins with its parent's, which is not longer."""
    codes = encode(chains.values).codes
    offsets = np.asarray(chains.offsets).astype(np.int64)
    counts = lengths[parents]
    which = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    same = codes[offsets[rows][which] + within] == codes[offsets[parents][which] + within]
    found = np.ones(len(rows), dtype=np.bool_)
    found[which[~same]] = False
    return found


def _told(chains: Any, row: np.int64) -> str:
    links: list[str] = chains[int(row)].as_py()
    return quoted(" → ".join(links))
