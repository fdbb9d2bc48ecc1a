"""The question identity-conflicts: claimed against attested, and against what else is claimed."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from tests.spans import Sent, attribution
from whodid.semconv import attributes as attr
from whodid.semconv.values import EvidenceLevel
from whodid.store import Store
from whodid.store.questions.cursor import CursorError
from whodid.store.questions.identity_conflicts import (
    QUESTION,
    Conflict,
    IdentityConflicts,
    IdentityConflictsParameters,
)

Put = Callable[..., None]
SUPPORT, BILLING = "spiffe://acme.example/agent/support", "spiffe://acme.example/agent/billing"
ATTESTED = {attr.ATTRIBUTION_AGENT_ATTESTED_ID: SUPPORT}


def ask(store: Store, **parameters: Any) -> IdentityConflicts:
    return QUESTION.ask(store.reader(), IdentityConflictsParameters.model_validate(parameters))


def act(action: str, identity: str = SUPPORT, **more: Any) -> Sent:
    said: dict[str, Any] = {
        "ATTRIBUTION_ACTION_ID": action,
        "ATTRIBUTION_AGENT_INSTANCE_ID": f"instance of {action}",
        "ATTRIBUTION_AGENT_IDENTITY_ID": identity,
        "ATTRIBUTION_AGENT_IDENTITY_TYPE": "spiffe",
        **more,
    }
    return Sent(attributes=attribution("execute_tool", **said))


def test_what_agrees_is_no_conflict(store: Store, put: Put) -> None:
    put(act("one"), act("two"), resource=ATTESTED)
    put(act("three", BILLING), act("four", ""))
    assert ask(store, kinds=tuple(Conflict)).items == []


def test_a_claim_against_what_was_attested(store: Store, put: Put) -> None:
    wrong = [act("one", BILLING), act("two", BILLING)]
    put(*wrong, act("three"), service="desk", resource=ATTESTED)
    put(wrong[0], service="desk", resource=ATTESTED)  # the same again
    (item,) = ask(store).items
    assert item.kind is Conflict.ATTESTED
    assert (item.claimed.value, item.attested.value) == (BILLING, SUPPORT)
    assert item.claimed.evidence is EvidenceLevel.SELF_ASSERTED
    assert item.span_ids == sorted(span.span_id.hex() for span in wrong)
    assert (item.span_count, item.services, item.agents) == (2, ["desk"], ["support-agent"])
    assert item.conflict == f"{BILLING} is claimed, and {SUPPORT} was attested"


def test_what_a_span_itself_says_was_attested_is_the_agents_own_word(store: Store, put: Put) -> None:
    put(act("one", BILLING, ATTRIBUTION_AGENT_ATTESTED_ID=SUPPORT))
    assert ask(store).items == []
    put(act("two", BILLING, ATTRIBUTION_AGENT_ATTESTED_ID=BILLING), resource=ATTESTED)
    assert len(ask(store).items) == 1


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({}, {"ATTRIBUTION_AGENT_IDENTITY_ID": BILLING}, "the identities"),
        ({}, {"GEN_AI_AGENT_NAME": "billing-agent"}, "the agents"),
    ],
)
def test_one_running_copy_is_two(
    store: Store, put: Put, one: dict[str, str], other: dict[str, str], words: str
) -> None:
    both = {"ATTRIBUTION_AGENT_INSTANCE_ID": "copy-1"}
    spans = [act("one", **both, **one), act("two", **{**both, **other})]
    put(spans[0], service="here")
    put(spans[1], service="there")
    (item,) = ask(store).items
    assert (item.kind, item.subject) == (Conflict.INSTANCE, "copy-1")
    assert words in item.conflict
    assert item.span_ids == sorted(span.span_id.hex() for span in spans)
    assert item.services == ["here", "there"]
    assert item.attested.evidence is EvidenceLevel.MISSING


def test_one_action_of_two_agents(store: Store, put: Put) -> None:
    mine, theirs = act("one"), act("one", BILLING, ATTRIBUTION_AGENT_INSTANCE_ID="another")
    put(mine, theirs, act("two", BILLING))
    (item,) = ask(store).items
    assert (item.kind, item.subject) == (Conflict.ACTION, "one")
    assert item.claimed.value == [BILLING, SUPPORT]
    assert item.span_ids == sorted((mine.span_id.hex(), theirs.span_id.hex()))


def test_a_server_that_names_no_agent_contradicts_nobody(store: Store, put: Put) -> None:
    server = {attr.MCP_METHOD_NAME: "tools/call", attr.ATTRIBUTION_ACTION_ID: "one"}
    put(act("one"), Sent(attributes=dict(server)))
    assert ask(store).items == []


@pytest.mark.parametrize(
    "issuers",
    [
        ("https://one.example", "https://two.example"),
        ("spiffe://evil.example",),
        ("spiffe://acme.exam",),
    ],
)
def test_an_identity_of_another_issuer(store: Store, put: Put, issuers: tuple[str, ...]) -> None:
    put(*(act(issuer, ATTRIBUTION_AGENT_IDENTITY_ISSUER=issuer) for issuer in issuers))
    (item,) = ask(store).items
    assert (item.kind, item.subject) == (Conflict.ISSUER, SUPPORT)
    assert item.claimed.value in (list(issuers), *issuers)


def test_the_issuer_that_it_should_have(store: Store, put: Put) -> None:
    put(act("one", ATTRIBUTION_AGENT_IDENTITY_ISSUER="spiffe://acme.example"), act("two"))
    assert ask(store).items == []


def test_another_user_than_the_principal_where_it_is_asked_for(store: Store, put: Put) -> None:
    put(act("one", USER_ID="mallory@acme.example"), act("two", USER_ID="alice@acme.example"))
    assert ask(store).items == []
    (item,) = ask(store, kinds=("user",)).items
    assert (item.claimed.value, item.attested.value) == ("alice@acme.example", "mallory@acme.example")


def test_filters(store: Store, put: Put) -> None:
    put(act("one", BILLING, GEN_AI_AGENT_NAME="one"), resource=ATTESTED)
    put(act("two", BILLING, GEN_AI_AGENT_NAME="two"), resource=ATTESTED)
    put(act("three"), act("three", GEN_AI_AGENT_NAME="three"))
    kinds = [item.kind for item in ask(store).items]
    assert sorted(kinds) == sorted((Conflict.ATTESTED, Conflict.ACTION, Conflict.INSTANCE))
    assert [item.agents for item in ask(store, kinds=("attested",)).items] == [["one", "two"]]
    assert [item.agents for item in ask(store, kinds=("attested",), agent="two").items] == [["two"]]
    assert [item.kind for item in ask(store, agent="three").items] == [Conflict.ACTION, Conflict.INSTANCE]
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)
    assert ask(store, since=later).items == []


def test_pages_hold_every_conflict_once(store: Store, put: Put) -> None:
    at = act("any").start_ns
    for number in range(7):
        span = act(f"{number}", f"{BILLING}/{number}")
        span.start_ns = at
        put(span, resource=ATTESTED)
    found: list[str] = []
    cursor = ""
    while True:
        page = ask(store, limit=3, cursor=cursor)
        found += [item.subject for item in page.items]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
    assert sorted(found) == [f"{BILLING}/{number}" for number in range(7)]


def test_a_cursor_that_is_none(store: Store) -> None:
    with pytest.raises(CursorError):
        ask(store, cursor="nonsense")


def test_more_spans_than_are_told(store: Store, put: Put) -> None:
    put(*(act(f"{number}", BILLING) for number in range(21)), resource=ATTESTED)
    answer = ask(store)
    assert (answer.items[0].span_count, len(answer.items[0].span_ids)) == (21, 20)
    assert answer.gaps == ["1 conflicts have more spans than the 20 that are told"]


def test_another_tenant_sees_nothing(store: Store, put: Put) -> None:
    put(act("one", BILLING), resource=ATTESTED)
    assert QUESTION.ask(store.reader("another"), IdentityConflictsParameters.model_validate({})).items == []
