"""Spans made to mislead: they change no other tenant's answers, and show as findings or as lower evidence."""

from __future__ import annotations

import copy
import random
import time
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from tests.benchmarks.scenes import SECOND_NS, Agent, Scene
from tests.spans import Sent, Value, attribution, request
from whodid.processor import pipeline
from whodid.processor.errors import WhodidError
from whodid.semconv import attributes as attr
from whodid.semconv.definitions import Column
from whodid.semconv.registry import ATTRIBUTES
from whodid.semconv.values import EvidenceLevel, FindingRule
from whodid.store import Store
from whodid.store.questions import QUESTIONS, UnknownIdError

VICTIM, ATTACKER = "acme", "mallory"
USER = "alice@acme.example"
HOSTILE = (
    "'; DROP TABLE spans; --",
    "' OR '1'='1",
    "') UNION ALL SELECT * FROM whodid.spans WHERE tenant_id = 'acme' --",
    "\\' OR 1=1 --",
    "{tenant:String}",
    "{id:String} OR 1",
    "%(id)s %s %d",
    "acme'--",
    '<script>alert("x")</script>',
    "<img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}${7*7}",
    '=HYPERLINK("http://evil.example","x")',
    "\x1b]0;owned\x07\x1b[2J\x1b[31m",
    "\u202egnp.exe",
    "null\x00byte",
    "a\r\nSet-Cookie: x=1",
    "../../etc/passwd",
    "x" * 5_000,
)


@pytest.fixture(scope="module")
def own_tenant() -> str:
    return VICTIM


@pytest.fixture
def scene() -> Scene:
    # In the past, as the agents' work takes some time.
    return Scene(random.Random(1), time.time_ns() - 600 * SECOND_NS)


def put(store: Store, spans: list[Sent], tenant: str = VICTIM, *, service: str = "tests") -> None:
    resource: dict[str, Value] = {"tenant": VICTIM, "tenant_id": VICTIM, "whodid.tenant": VICTIM}
    sealed = pipeline.run([request(*spans, service=service, resource=resource)], tenant=tenant)
    store.insert(sealed, f"{tenant} {random.random()}")


def ask(store: Store, name: str, asked: dict[str, Any], tenant: str = VICTIM) -> Any:
    question = QUESTIONS[name]
    return question.ask(store.reader(tenant), question.parameters.model_validate(asked))


def told(store: Store, name: str, asked: dict[str, Any], tenant: str = VICTIM) -> str:
    """The whole answer as a text, or that there is none."""
    try:
        return ask(store, name, asked, tenant).model_dump_json()
    except WhodidError as error:
        return f"{type(error).__name__}: {error}"


def every_question(ids: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """Each question with parameters that it takes: required ones by their name, or the action's id."""
    asked: list[tuple[str, dict[str, Any]]] = [("credential", {"id": ids["credential"]})]
    starts = (("credential", ids["credential"]), ("principal", USER), ("agent", "support-agent"))
    asked += [("blast-radius", {"kind": kind, "id": id_}) for kind, id_ in starts]
    for name, question in QUESTIONS.items():
        required = {
            field: ids.get(field, ids["id"])
            for field, about in question.parameters.model_fields.items()
            if about.default is PydanticUndefined and about.default_factory is None and field != "kind"
        }
        if name not in ("blast-radius", "credential"):
            asked.append((name, required))
    return asked


def whole(scene: Scene) -> tuple[list[Sent], dict[str, str]]:
    """An agent that uses a credential, asks for an approval and hands on, and the ids of all that."""
    agent = scene.agent(USER, "support-agent", SESSION_ID="session-1", GEN_AI_CONVERSATION_ID="conv-1")
    credential = {
        "ATTRIBUTION_CREDENTIAL_ID": "sha256:60303ae22b998861",
        "ATTRIBUTION_CREDENTIAL_NOT_AFTER": scene.time(600),
        "ATTRIBUTION_CORRELATION_ID": "req-1",
    }
    done = agent.action("lookup_order", said=credential, ATTRIBUTION_RESOURCE_ID="order/1")
    agent.delegate("mail-agent").action("send_mail", ATTRIBUTION_ACTION_EFFECT="communicate")
    spans = [span for _, _, span in scene.sent]
    return spans, {
        "id": done.id,
        "trace_id": agent.trace_id.hex(),
        "credential": "sha256:60303ae22b998861",
        "session": "session-1",
        "task": agent.task,
    }


def rules(store: Store, id_: str) -> set[str]:
    """The rules that found something about the spans of an action."""
    return {finding.rule for finding in ask(store, "who", {"id": id_}).findings}


class TestTenants:
    def test_the_same_ids_in_another_tenant_change_no_answer(self, store: Store, scene: Scene) -> None:
        spans, ids = whole(scene)
        put(store, spans)
        asked = every_question(ids)
        before = [told(store, name, parameters) for name, parameters in asked]
        assert not [text for text in before if text.startswith("Store")]
        for number in range(3):
            forged = copy.deepcopy(spans)
            for span in forged:
                span.attributes |= {
                    attr.ATTRIBUTION_INITIATOR_ID: "eve@evil.example",
                    attr.ATTRIBUTION_CREDENTIAL_ISSUER: HOSTILE[number],
                    "tenant": VICTIM,
                    "tenant_id": VICTIM,
                }
                span.start_ns += number
            put(store, forged, ATTACKER)
        assert [told(store, name, parameters) for name, parameters in asked] == before
        # And the other one has its own answer to the same id.
        theirs = ask(store, "who", {"id": ids["id"]}, ATTACKER)
        assert theirs.initiator.id.value == "eve@evil.example"

    def test_a_tenant_without_spans_is_told_nothing(self, store: Store, scene: Scene) -> None:
        spans, ids = whole(scene)
        put(store, spans)
        for name, parameters in every_question(ids):
            text = told(store, name, parameters, "umbrella")
            for secret in (USER, "support-agent", "order/1", spans[0].span_id.hex()):
                if secret not in str(parameters):
                    assert secret not in text, name

    @pytest.mark.parametrize("tenant", HOSTILE[:8])
    def test_a_tenant_s_name_is_only_a_name(self, store: Store, scene: Scene, tenant: str) -> None:
        spans, ids = whole(scene)
        put(store, spans)
        with pytest.raises(UnknownIdError):
            ask(store, "who", {"id": ids["id"]}, tenant)


class TestStrings:
    @pytest.fixture
    def hostile(self, scene: Scene) -> list[Sent]:
        """A span for each of the texts, with it in every attribute, name and event."""
        spans: list[Sent] = []
        for text in HOSTILE:
            said: dict[str, Value] = {text: text}
            for attribute in ATTRIBUTES.values():
                if attribute.column in (Column.STRING, Column.LOW_CARDINALITY):
                    said[attribute.name] = text
                elif attribute.column is Column.ARRAY:
                    said[attribute.name] = [text, USER]
            said[attr.GEN_AI_OPERATION_NAME] = "execute_tool"
            events: dict[str, dict[str, Value]] = {text: {text: text}}
            spans.append(Sent(name=text, attributes=said, events=events, start_ns=scene.at_ns))
        return spans

    def test_in_every_attribute_they_are_kept_as_they_are_and_do_nothing(
        self, store: Store, scene: Scene, hostile: list[Sent]
    ) -> None:
        spans, ids = whole(scene)
        put(store, spans)
        asked = every_question(ids)
        before = [told(store, name, parameters) for name, parameters in asked]
        for number, span in enumerate(hostile):
            put(store, [span], ATTACKER, service=HOSTILE[number])
        assert [told(store, name, parameters) for name, parameters in asked] == before
        for text, span in zip(HOSTILE, hostile, strict=True):
            record = ask(store, "who", {"id": span.span_id.hex()}, ATTACKER)
            assert record.principal.id.value == text
            assert record.tool.name.value == text
            assert record.mode.value == text
            assert {finding.rule for finding in record.findings} >= {FindingRule.UNDEFINED_VALUE}
            assert ask(store, "trace", {"trace_id": span.trace_id.hex()}, ATTACKER).lines[0].name == text

    def test_asked_for_they_are_ids_like_others(
        self, store: Store, scene: Scene, hostile: list[Sent]
    ) -> None:
        spans, ids = whole(scene)
        put(store, spans)
        put(store, hostile, ATTACKER)
        for text in HOSTILE[::4]:
            short = text[:1_000]
            for name, parameters in every_question(dict.fromkeys(ids, short)):
                theirs, answer = told(store, name, parameters, ATTACKER), told(store, name, parameters)
                # Whatever comes out, it is not an error of the store's, nor the other tenant's.
                assert not theirs.startswith("Store"), (name, text, theirs)
                assert spans[0].span_id.hex() not in theirs, (name, text)
                assert not answer.startswith("Store"), (name, text, answer)
                assert hostile[0].span_id.hex() not in answer, (name, text)
        assert ask(store, "who", {"id": ids["id"]}).principal.id.value == USER


class TestForgery:
    def agent(self, scene: Scene) -> Agent:
        return scene.agent(USER, "support-agent")

    def sent(self, scene: Scene) -> list[Sent]:
        return [span for _, _, span in scene.sent]

    def test_a_forged_initiator_is_only_self_asserted(self, store: Store, scene: Scene) -> None:
        agent = self.agent(scene)
        true = agent.action("lookup_order")
        forged = agent.action("lookup_order", ATTRIBUTION_INITIATOR_ID="ceo@acme.example")
        put(store, self.sent(scene))
        assert ask(store, "who", {"id": true.id}).initiator.id.evidence is EvidenceLevel.PROPAGATED
        record = ask(store, "who", {"id": forged.id})
        assert record.initiator.id.value == "ceo@acme.example"
        assert record.initiator.id.evidence is EvidenceLevel.SELF_ASSERTED
        gaps = ask(store, "chain", {"id": forged.id}).gaps
        assert any("ceo@acme.example" in gap and USER in gap for gap in gaps)

    def test_a_chain_that_leaves_an_agent_out_is_found(self, store: Store, scene: Scene) -> None:
        last = self.agent(scene).delegate("research-agent").delegate("mail-agent")
        done = last.action("send_mail", ATTRIBUTION_DELEGATION_CHAIN=[USER, "mail-agent"])
        put(store, self.sent(scene))
        assert FindingRule.CHAIN_BROKEN in rules(store, done.id)
        record = ask(store, "chain", {"id": done.id})
        assert {passed.name for passed in record.unnamed} >= {"research-agent", "support-agent"}
        assert record.chain.evidence is EvidenceLevel.SELF_ASSERTED

    def test_an_approval_that_nobody_gave_is_a_gap(self, store: Store, scene: Scene) -> None:
        done = self.agent(scene).action(
            "drop_table", ATTRIBUTION_ACTION_MODE="human_approved", ATTRIBUTION_APPROVAL_ID="apr-none"
        )
        put(store, self.sent(scene))
        record = ask(store, "who", {"id": done.id})
        assert record.approval.approver.evidence is EvidenceLevel.MISSING
        assert "the action names an approval that is not in the store" in record.gaps

    def test_an_agent_that_approves_itself_is_found(self, store: Store, scene: Scene) -> None:
        agent = self.agent(scene)
        digest = scene.digest()
        approval = agent.approval("drop_table", "support-agent", digest, "call_1")
        done = agent.action(
            "drop_table",
            GEN_AI_TOOL_CALL_ID="call_1",
            ATTRIBUTION_ACTION_ARGUMENTS_HASH=digest,
            ATTRIBUTION_ACTION_MODE="human_approved",
            ATTRIBUTION_APPROVAL_ID=approval,
        )
        put(store, self.sent(scene))
        assert FindingRule.APPROVAL_BY_AGENT in rules(store, done.id)

    def test_an_approval_of_something_else_does_not_cover_the_action(
        self, store: Store, scene: Scene
    ) -> None:
        agent = self.agent(scene)
        approval = agent.approval("drop_table", "bob@acme.example", scene.digest(), "call_1")
        done = agent.action(
            "drop_table",
            GEN_AI_TOOL_CALL_ID="call_1",
            ATTRIBUTION_ACTION_MODE="human_approved",
            ATTRIBUTION_APPROVAL_ID=approval,
        )
        put(store, self.sent(scene))
        assert FindingRule.APPROVAL_MISMATCH in rules(store, done.id)
        assert ask(store, "who", {"id": done.id}).approval.covers_action is False

    def test_a_level_of_evidence_cannot_be_sent(self, store: Store, scene: Scene) -> None:
        done = self.agent(scene).action("lookup_order", ATTRIBUTION_EVIDENCE_LEVEL="verified")
        put(store, self.sent(scene))
        assert FindingRule.EVIDENCE_CLAIMED in rules(store, done.id)
        assert '"verified"' not in told(store, "who", {"id": done.id})

    def test_a_span_sent_again_with_another_story_is_told_and_not_believed(
        self, store: Store, scene: Scene
    ) -> None:
        done = self.agent(scene).action("lookup_order")
        put(store, self.sent(scene))
        assert done.execution is not None
        again = copy.deepcopy(done.execution)
        again.attributes |= attribution("execute_tool", user="eve@evil.example") | {
            attr.ATTRIBUTION_ACTION_ID: done.id
        }
        put(store, [again])
        assert any("sent twice" in gap for gap in ask(store, "who", {"id": done.id}).gaps)
