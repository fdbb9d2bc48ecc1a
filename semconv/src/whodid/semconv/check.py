"""`whodid semconv check`: everything that is wrong with the model, all at once.

Form comes first: where a file is not what `definition/2` prescribes, nothing else can be said about it.
"""

from __future__ import annotations

from pathlib import Path

from whodid.semconv import model
from whodid.semconv.checks import documentation, names, released
from whodid.semconv.resolver import resolve
from whodid.semconv.source import Problem, read


def run(semconv: Path) -> list[Problem]:
    """The problems of the model in `semconv/model`, in the files' order; none means that it is in order."""
    source = read(semconv / "model")
    form = model.problems_of_form(source)
    if form:
        return form
    resolved = resolve(source)
    meaning = model.problems_of_meaning(resolved)
    style = [*names.problems(resolved), *documentation.problems(resolved)]
    # It is compared with what was released as a whole, so there has to be one.
    history = () if meaning else released.problems(model.compiled(source, resolved), semconv)
    return sorted({*meaning, *style, *history})
