"""In which five minutes there are spans with some ids: where a question about an id has to look."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from whodid.semconv.registry import ATTRIBUTES
from whodid.store.questions.question import Period

if TYPE_CHECKING:
    from whodid.store.reader import Reader

MAX_STEPS = 1_000
"""Above it the times say little, and are too many for an address: the bloom filters have to do then."""

SHORT = datetime.timedelta(days=1)
"""In a period up to this the bloom filters are small, and asking for the times costs more than it saves."""

EVERYWHERE: Mapping[str, Any] = {"everywhere": True, "steps": []}
"""For a question that does not start from an id."""

ALWAYS: Mapping[str, datetime.datetime] = Period.model_validate({}).bounds()


def times_of(
    reader: Reader, ids: Iterable[tuple[str, str]], period: Mapping[str, datetime.datetime] = ALWAYS
) -> Mapping[str, Any]:
    """Where in `spans` the spans are that have one of these (attribute, id): at least all of the period.

    As a query's parameters: `AND ({everywhere:Bool} OR toStartOfFiveMinutes(start_time) IN
    {steps:Array(DateTime('UTC'))})`. The query has to compare the ids too: other spans are there as well.
    """
    wanted = [(ATTRIBUTES[attribute].column_name, id_) for attribute, id_ in ids if id_]
    if not wanted:
        return {"everywhere": False, "steps": []}
    if period["until"] - period["since"] <= SHORT:
        return EVERYWHERE
    asked = {
        "columns": [column for column, _ in wanted],
        "ids": [id_ for _, id_ in wanted],
        "limit": MAX_STEPS + 1,
    }
    steps = sorted(row["step"] for row in reader.rows("id_times", asked))
    return EVERYWHERE if len(steps) > MAX_STEPS else {"everywhere": False, "steps": steps}
