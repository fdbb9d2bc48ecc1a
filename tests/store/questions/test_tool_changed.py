"""The question tool-changed: definitions that nobody approved, of tools of which another was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution, request
from whodid.processor import pipeline
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.cursor import CursorError
from whodid.store.questions.tool_changed import QUESTION, ChangedTools, ToolChangedParameters

Put = Callable[..., None]
OLD, NEW, NEWER = (f"sha256:{digit * 64}" for digit in "123")
BASE_NS = 1_790_000_000_000_000_000
SECOND_NS = 1_000_000_000


def ask(store: Store, **parameters: Any) -> ChangedTools:
    return QUESTION.ask(store.reader(), ToolChangedParameters.model_validate(parameters))


def at(second: int, operation: str, **more: Any) -> Sent:
    start_ns = BASE_NS + second * SECOND_NS
    said = attribution(operation, **{"GEN_AI_TOOL_NAME": "send_mail", **more})
    return Sent(attributes=said, start_ns=start_ns)


def run(second: int, definition: str, action: str, approval: str = "", **more: Any) -> Sent:
    said = {"ATTRIBUTION_TOOL_DEFINITION_HASH": definition, "ATTRIBUTION_ACTION_ID": action, **more}
    return at(second, "execute_tool", ATTRIBUTION_APPROVAL_ID=approval, **said)


def approval(second: int, id_: str, definition: str = "", status: str = "granted", **more: Any) -> Sent:
    said = {"ATTRIBUTION_APPROVAL_STATUS": status, "ATTRIBUTION_APPROVAL_APPROVER_ID": "bob@acme.example"}
    said |= {"ATTRIBUTION_TOOL_DEFINITION_HASH": definition, "ATTRIBUTION_ACTION_ID": f"asked {id_}", **more}
    return at(second, "resolve_approval", ATTRIBUTION_APPROVAL_ID=id_, **said)


def test_a_definition_that_changed_after_its_approval(store: Store, put: Put) -> None:
    first = run(5, NEW, "first")
    put(run(6, NEW, "second"), first, run(2, OLD, "approved", "ok"))
    put(approval(1, "ok", OLD))  # late
    (item,) = ask(store).items
    assert (item.definition.value, item.approved_definition.value) == (NEW, OLD)
    assert (item.run_count, item.action_id, item.span_ids) == (2, "first", [first.span_id.hex()])
    assert (item.approver.value, item.approver.evidence) == ("bob@acme.example", EvidenceLevel.SELF_ASSERTED)
    assert (item.approval_id, item.gaps) == ("ok", [])


def test_what_is_approved_anew_is_listed_only_until_then(store: Store, put: Put) -> None:
    put(approval(1, "ok", OLD), run(3, NEW, "early"), approval(4, "again", NEW), run(5, NEW, "late", "again"))
    (item,) = ask(store).items
    assert (item.action_id, item.run_count) == ("early", 1)


def test_an_approval_that_names_no_definition_stands_for_its_actions(store: Store, put: Put) -> None:
    put(approval(1, "ok"), run(2, OLD, "approved", "ok"), run(3, NEW, "changed"))
    (item,) = ask(store).items
    assert (item.action_id, item.approved_definition.value) == ("changed", OLD)
    assert item.gaps == [
        "the approval does not say which definition it was shown; taken is that of the action it was for"
    ]


def test_an_approved_action_that_ran_something_else(store: Store, put: Put) -> None:
    put(approval(1, "ok", OLD), run(2, NEW, "swapped", "ok"))
    (item,) = ask(store).items
    assert (item.action_id, item.definition.value, item.approved_definition.value) == ("swapped", NEW, OLD)


@pytest.mark.parametrize(
    "spans",
    [
        [approval(1, "ok", OLD), run(2, OLD, "same", "ok"), run(3, OLD, "again")],
        [run(1, OLD, "never approved"), run(2, NEW, "changed")],
        [approval(1, "no", OLD, "denied"), run(2, NEW, "changed")],
        [run(1, NEW, "before"), approval(2, "ok", OLD)],
        [approval(1, "ok", OLD, GEN_AI_TOOL_NAME="another"), run(2, NEW, "other tool")],
        [approval(1, "ok", OLD), run(2, "", "says no definition")],
    ],
)
def test_what_is_no_change(store: Store, put: Put, spans: list[Sent]) -> None:
    put(*spans)
    assert ask(store).items == []


def test_a_span_sent_twice_is_one_run(store: Store, put: Put) -> None:
    again = run(3, NEW, "changed")
    put(approval(1, "ok", OLD), again)
    put(again)
    (item,) = ask(store).items
    assert item.run_count == 1


def test_the_period_the_tool_and_pages(store: Store, put: Put) -> None:
    put(approval(1, "ok", OLD), run(10, NEW, "one"), run(20, NEWER, "two"))
    assert [item.action_id for item in ask(store).items] == ["one", "two"]
    since = "2026-09-21T14:13:35Z"
    assert [item.action_id for item in ask(store, since=since).items] == ["two"]
    assert ask(store, tool="other").items == []
    page = ask(store, limit=1)
    assert [item.action_id for item in ask(store, limit=1, cursor=page.next_cursor).items] == ["two"]
    with pytest.raises(CursorError):
        ask(store, cursor="nonsense")


def test_another_tenants_approval_is_none_of_ours(store: Store, put: Put) -> None:
    put(run(3, NEW, "changed"))
    store.insert(pipeline.run([request(approval(1, "ok", OLD))], tenant="other"), "of another tenant")
    assert ask(store).items == []
