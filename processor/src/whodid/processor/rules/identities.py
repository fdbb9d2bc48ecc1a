"""Whether the identity that an agent claims is the one that was attested for its connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from whodid.processor.arrow import pc
from whodid.processor.batch import Findings
from whodid.processor.rules.telling import per_row, quoted
from whodid.processor.rules.view import View, differ
from whodid.semconv import attributes as attr
from whodid.semconv.values import FindingRule

_CLAIMED = attr.ATTRIBUTION_AGENT_IDENTITY_ID
_ATTESTED = attr.ATTRIBUTION_AGENT_ATTESTED_ID


def identity_mismatch(view: View) -> Iterator[Findings]:
    """The span claims another identity than its resource has from a receiver or collector.

    What the span itself says was attested is the agent's word, and is not looked at.
    """
    claimed = view.values(_CLAIMED)
    resources: Any = view.batch.spans.column("resource_attributes").combine_chunks()
    if claimed is None or not pc.any(pc.equal(resources.dictionary.keys, _ATTESTED)).as_py():
        return
    attested = pc.map_lookup(resources.dictionary, _ATTESTED, "last").take(resources.indices)
    rows = np.flatnonzero(differ(claimed, attested))
    yield from per_row(
        FindingRule.IDENTITY_MISMATCH,
        _CLAIMED,
        rows,
        lambda at: (
            f"{_CLAIMED} is {quoted(view.text(_CLAIMED, rows[at]))}; "
            f"expected {quoted(attested[int(rows[at])].as_py())}, which was attested"
        ),
        f"{_CLAIMED} is not the one that was attested",
    )
