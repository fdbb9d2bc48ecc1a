"""References: what is laid over what, what upstream lends, and what leads nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.semconv.broken import copy, told_of
from whodid.semconv import model
from whodid.semconv.resolver import Resolved, SignalKind, resolve
from whodid.semconv.source import read

HEAD = "file_format: definition/2\n"
SPAN = "type: attribution.test, kind: internal, name: {note: n}, brief: B., stability: alpha"


def resolved(folder: Path, text: str, upstream: str = "") -> Resolved:
    semconv = copy(folder)
    (semconv / "model" / "zz.yaml").write_text(HEAD + text)
    (semconv / "upstream" / "zz.yaml").write_text(HEAD + upstream)
    found = resolve(read(semconv / "model"))
    assert found.problems == []
    return found


def levels(found: Resolved, name: str) -> dict[str, str]:
    (signal,) = [signal for signal in found.signals if signal.name == name]
    return {reference.name: reference.requirement for reference in signal.references}


GROUPS = """
attribute_groups:
  - id: test.inner
    visibility: internal
    attributes:
      - {ref: session.id, requirement_level: required}
      - ref: user.id
        requirement_level: {conditionally_required: If.}
        note: Group's.
        annotations: {whodid: {when: present(session.id)}}
  - id: test.outer
    visibility: internal
    attributes:
      - ref_group: test.inner
      - {ref: error.type, requirement_level: opt_in}
"""


def test_a_group_of_groups(tmp_path: Path) -> None:
    text = GROUPS + f"spans:\n  - {{{SPAN}, attributes: [{{ref_group: test.outer}}]}}\n"
    assert levels(resolved(tmp_path, text), "attribution.test") == {
        "session.id": "required",
        "user.id": "conditionally_required",
        "error.type": "opt_in",
    }


@pytest.mark.parametrize("first", [True, False])
def test_what_is_written_on_the_span_counts_more_than_its_groups(tmp_path: Path, first: bool) -> None:
    items = ["{ref: session.id, requirement_level: opt_in}", "{ref_group: test.outer}"]
    attributes = ", ".join(items if first else items[::-1])
    found = resolved(tmp_path, GROUPS + f"spans:\n  - {{{SPAN}, attributes: [{attributes}]}}\n")
    assert levels(found, "attribution.test")["session.id"] == "opt_in"


def test_what_a_reference_leaves_out_it_has_from_its_group(tmp_path: Path) -> None:
    attributes = "[{ref_group: test.inner}, {ref: user.id, note: Own.}]"
    found = resolved(tmp_path, GROUPS + f"spans:\n  - {{{SPAN}, attributes: {attributes}}}\n")
    (signal,) = [signal for signal in found.signals if signal.name == "attribution.test"]
    (user,) = [reference for reference in signal.references if reference.name == "user.id"]
    assert (user.requirement, user.when, user.note) == (
        "conditionally_required",
        "present(session.id)",
        "Own.",
    )


def test_a_level_of_its_own_leaves_no_condition(tmp_path: Path) -> None:
    attributes = "[{ref_group: test.inner}, {ref: user.id, requirement_level: required}]"
    found = resolved(tmp_path, GROUPS + f"spans:\n  - {{{SPAN}, attributes: {attributes}}}\n")
    (signal,) = [signal for signal in found.signals if signal.name == "attribution.test"]
    (user,) = [reference for reference in signal.references if reference.name == "user.id"]
    assert (user.requirement, user.condition, user.when) == ("required", "", None)


def test_a_refinement_is_laid_over_what_it_refines(tmp_path: Path) -> None:
    semconv = copy(tmp_path)
    (semconv / "model" / "zz.yaml").write_text(
        HEAD
        + """
span_refinements:
  - id: attribution.execute_tool.payment
    ref: attribution.execute_tool
    brief: A payment.
    attributes:
      - {ref: attribution.resource.id, requirement_level: required}
      - {ref: attribution.action.effect, note: Always a write.}
    annotations: {whodid: {operation: payment, match: 'gen_ai.tool.name == "pay"'}}
"""
    )
    loaded = model.load(semconv / "model")
    operations = {operation.name: operation for operation in loaded.operations}
    base, refined = operations["execute_tool"], operations["payment"]
    assert (refined.brief, refined.match) == ("A payment.", 'gen_ai.tool.name == "pay"')
    before = {use.name: use.requirement for use in base.uses}
    after = {use.name: use.requirement for use in refined.uses}
    assert after == before | {"attribution.resource.id": "required"}
    (signal,) = [each for each in loaded.resolved.signals if each.name == "attribution.execute_tool.payment"]
    assert signal.map("name").text("note") == "`execute_tool {gen_ai.tool.name}`"


UPSTREAM = """
attributes:
  - {key: test.only, type: string, brief: B., stability: alpha}
attribute_groups:
  - {id: gen_ai.common, visibility: internal, attributes: [{ref: test.only, requirement_level: required}]}
events:
  - {name: gen_ai.one, brief: B., stability: alpha, attributes: [{ref_group: gen_ai.common}]}
  - {name: gen_ai.two, brief: B., stability: alpha, attributes: []}
  - {name: other.one, brief: B., stability: alpha, attributes: []}
"""


def test_what_is_imported_is_named_by_wildcards(tmp_path: Path) -> None:
    text = (
        "imports: {events: ['gen_ai.*'], attribute_groups: [gen_ai.common]}\n"
        "event_refinements:\n"
        "  - {id: attribution.mine, ref: other.one, attributes: [{ref_group: gen_ai.common}]}\n"
    )
    found = resolved(tmp_path, text, UPSTREAM)
    names = {signal.name for signal in found.of_kind(SignalKind.EVENT)}
    assert {"gen_ai.one", "gen_ai.two", "attribution.mine"} <= names
    assert "other.one" not in names
    assert levels(found, "gen_ai.one") == {"test.only": "required"}
    assert levels(found, "attribution.mine") == {"test.only": "required"}


def event(attributes: str) -> str:
    return (
        f"events:\n  - {{name: attribution.test, brief: B., stability: alpha, attributes: [{attributes}]}}\n"
    )


NOWHERE: dict[str, tuple[str, list[str]]] = {
    "an attribute": (
        event("{ref: attribution.tsk.id}"),
        ["3: there is no attribute attribution.tsk.id -> did you mean attribution.task.id"],
    ),
    "a group": (
        event("{ref_group: attribution.whu}"),
        ["3: there is no attribute group attribution.whu -> did you mean attribution.w"],
    ),
    "a group in itself": (
        "attribute_groups:\n"
        "  - id: test.a\n    visibility: internal\n    attributes: [{ref_group: test.b}]\n"
        "  - id: test.b\n    visibility: internal\n    attributes: [{ref_group: test.a}]\n",
        [
            "5: the attribute group test.b contains itself -> take",
            "8: the attribute group test.a contains itself -> take",
        ],
    ),
    "two groups with one attribute": (
        GROUPS.lstrip()
        + "  - {id: test.other, visibility: internal, attributes: [{ref: session.id}]}\n"
        + event("{ref_group: test.inner}, {ref_group: test.other}"),
        ["18: test.other and test.inner both refer to session.id -> a signal's attribute groups may not"],
    ),
    "a reference twice": (
        event("{ref: session.id}, {ref: session.id}"),
        ["3: session.id is referred to twice -> keep one of the two"],
    ),
    "a refinement of nothing": (
        "span_refinements:\n  - {id: attribution.test, ref: attribution.chatt}\n",
        ["3: attribution.test refines attribution.chatt, which is no span -> did you mean attribution.chat"],
    ),
    "an import of nothing": (
        "imports:\n  spans:\n    - gen_ai.*\n",
        ["4: nothing upstream is named gen_ai.*, so nothing is imported from its spans -> vendor it"],
    ),
    "an event twice": (
        event("").replace("attribution.test", "attribution.finding"),
        ["3: the event attribution.finding is already defined at "],
    ),
    "an attribute twice": (
        "attributes:\n  - {key: user.id, type: string, brief: B., stability: alpha, examples: [x]}\n",
        [],  # told where the second one is: upstream
    ),
    "a group twice": (
        "attribute_groups:\n  - {id: attribution.who, visibility: internal, attributes: []}\n",
        ["3: the attribute group attribution.who is already defined at "],
    ),
    "an operation twice": (
        f"spans:\n  - {{{SPAN}, attributes: [], annotations: {{whodid: {{operation: chat}}}}}}\n",
        ["3: the operation chat is already that of "],
    ),
    "no operation": (
        f"spans:\n  - {{{SPAN}, attributes: []}}\n",
        ["3: attribution.test names no operation -> add `annotations: {whodid: {operation: NAME}}`"],
    ),
    "a newer name that is none": (
        "attributes:\n  - key: attribution.test.old\n    type: string\n    brief: B.\n    stability: alpha\n"
        "    examples: [x]\n    deprecated: {reason: renamed, renamed_to: session.idd}\n",
        ["8: attribution.test.old is renamed to session.idd, which is no attribute -> did you mean session"],
    ),
    "a newer name that is old itself": (
        "attributes:\n  - key: attribution.test.old\n    type: string\n    brief: B.\n    stability: alpha\n"
        "    examples: [x]\n    deprecated: {reason: renamed, renamed_to: gen_ai.system}\n",
        ["8: attribution.test.old is renamed to gen_ai.system, which is deprecated itself -> name the"],
    ),
}


@pytest.mark.parametrize("case", NOWHERE)
def test_what_leads_nowhere(tmp_path: Path, case: str) -> None:
    text, expected = NOWHERE[case]
    found = told_of(tmp_path, HEAD + text)
    if case == "an attribute twice":
        (only,) = found
        assert only.startswith("upstream/attributes.yaml:")
        assert "the attribute user.id is already defined at " in only
        return
    assert len(found) == len(expected), found
    for told, start in zip(found, expected, strict=True):
        assert told.startswith(f"model/zz.yaml:{start}")
