"""The value that a span's attributes come from."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from opentelemetry.context import Context

from whodid.instrumentation import Attribution, Credential, current
from whodid.instrumentation.context import ATTRIBUTES, MAX_CHAIN_ITEMS, rfc3339, with_attribution
from whodid.semconv import registry
from whodid.semconv.values import PrincipalType


def test_every_field_is_rendered_under_a_name_of_the_registry() -> None:
    known = set(registry.ATTRIBUTES)
    assert {name for _, name in ATTRIBUTES} <= known
    rendered = {field for field, _ in ATTRIBUTES} | {"credential", "remote", "_attributes"}
    assert {field.name for field in fields(Attribution)} == rendered


def test_what_is_not_known_is_absent() -> None:
    said = Attribution(principal_id="alice", principal_type=PrincipalType.HUMAN).attributes
    assert said == {"attribution.principal.id": "alice", "attribution.principal.type": "human"}
    assert type(said["attribution.principal.type"]) is str


def test_it_cannot_be_changed() -> None:
    value = Attribution(principal_id="alice")
    with pytest.raises(FrozenInstanceError):
        value.principal_id = "bob"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        value.attributes["attribution.principal.id"] = "bob"  # pyright: ignore[reportIndexIssue]


def test_a_changed_copy_is_rendered_anew() -> None:
    value = Attribution(principal_id="alice")
    assert value.attributes is value.attributes
    for changed in (value.changed(principal_id="bob"), replace(value, principal_id="bob")):
        assert changed.attributes == {"attribution.principal.id": "bob"}
        assert changed == Attribution(principal_id="bob")
    assert value.principal_id == "alice"
    with pytest.raises(TypeError, match="_attributes"):
        value.changed(_attributes={})


def test_an_agent_makes_the_chain_longer_and_leaves_the_action() -> None:
    value = Attribution(principal_id="alice", chain=("alice",), action_id="a1", tool_name="refund")
    acting = value.with_agent("support", instance_id="support:1", version="2")
    assert acting.chain == ("alice", "support")
    assert (acting.agent_name, acting.agent_version, acting.agent_instance_id) == (
        "support",
        "2",
        "support:1",
    )
    assert acting.action_id is None
    assert acting.tool_name is None


def test_a_remote_callers_identity_and_credential_are_not_the_next_agents() -> None:
    caller = Attribution(chain=("alice", "support"), agent_name="support", identity_id="spiffe://a/support")
    caller = replace(caller, credential=Credential(id="c1"))
    assert caller.with_agent("next", instance_id="n").identity_id == "spiffe://a/support"
    arrived = replace(caller, remote=True).with_agent("next", instance_id="n")
    assert (arrived.identity_id, arrived.credential, arrived.remote) == (None, None, False)


def test_a_chain_that_is_too_long_is_missing_from_then_on() -> None:
    value = Attribution(principal_id="p", chain=("p",))
    for _ in range(MAX_CHAIN_ITEMS + 5):
        value = value.with_agent("loop", instance_id="loop:1")
    assert value.chain == ()


def test_a_credential_keeps_nothing_of_its_secret() -> None:
    credential = Credential.from_secret("hunter2-hunter2", type="bearer", scopes=["orders:read"])
    assert "hunter2" not in repr(credential)
    assert credential.id.startswith("sha256:")
    assert len(credential.id) == len("sha256:") + 16
    assert credential == Credential.from_secret(b"hunter2-hunter2", type="bearer", scopes=("orders:read",))
    assert Attribution(credential=credential).attributes["attribution.credential.scopes"] == ("orders:read",)


def test_times_are_utc() -> None:
    here = timezone(timedelta(hours=2))
    assert rfc3339(datetime(2026, 11, 24, 16, 0, tzinfo=here)) == "2026-11-24T14:00:00Z"
    assert rfc3339(datetime(2026, 11, 24, 16, 0, tzinfo=UTC)) == "2026-11-24T16:00:00Z"
    assert rfc3339(None) is None


def test_a_context_without_one_has_an_empty_one() -> None:
    assert current(Context()) == Attribution()
    value = Attribution(task_id="t")
    assert current(with_attribution(value, Context())) is value
