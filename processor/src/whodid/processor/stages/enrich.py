"""Enrich: what the processor itself knows about a span when it arrives.

Only what can be told from the span alone: a span's row must not depend on which other spans shared its
request. What needs a second span (did the parent say so too?) is answered when the question is asked.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from whodid.processor.arrow import pa
from whodid.processor.batch import Batch, Findings, Kind
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel, FindingRule

_ATTRIBUTION = (
    attr.ATTRIBUTION_INITIATOR_ID,
    attr.ATTRIBUTION_PRINCIPAL_ID,
    attr.ATTRIBUTION_DELEGATION_CHAIN,
    attr.ATTRIBUTION_TASK_ID,
    attr.ATTRIBUTION_AGENT_INSTANCE_ID,
    attr.ATTRIBUTION_AGENT_IDENTITY_ID,
    attr.ATTRIBUTION_ACTION_ID,
)


def enrich(batch: Batch) -> Batch:
    """Sets the level of evidence, and sets aside one that the sender claims for itself."""
    name = attr.ATTRIBUTION_EVIDENCE_LEVEL
    columns = dict(batch.columns)
    columns.pop(name, None)
    findings = batch.findings
    lifted = batch.lifted
    claims = batch.attributes.entries(name)
    says_something = batch.attributes.kinds[claims] != Kind.EMPTY
    if says_something.any():
        rows = np.unique(batch.attributes.owners[claims][says_something])
        findings += (
            Findings(
                FindingRule.EVIDENCE_CLAIMED,
                name,
                "the sender set the level of evidence, which only the processor may; its value is set aside",
                rows,
            ),
        )
        # The claim stays where it can be read, in the map of what arrived.
        lifted = lifted.copy()
        lifted[claims] = False
    said = ~np.all([batch.missing(each) for each in _ATTRIBUTION], axis=0)
    levels = pa.array([EvidenceLevel.MISSING.value, EvidenceLevel.SELF_ASSERTED.value])
    columns[name] = levels.take(pa.array(said.astype(np.int64)))
    return replace(batch, columns=columns, lifted=lifted, findings=findings)
