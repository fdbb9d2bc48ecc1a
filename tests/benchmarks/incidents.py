"""Incidents for the scale data, each with the question that has to find it and exactly what that is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from tests.benchmarks import recorded_incidents as recorded
from tests.benchmarks.incident import Incident, credential_for, day_around, run_approved, spans_of_items
from tests.benchmarks.scenes import SECOND_NS, Agent, Scene
from tests.spans import Sent, Value


def plant(begin: datetime, days: int, seed: int = 5) -> list[Incident]:
    """Every incident twice, at times in the `days` after `begin`."""
    draw = random.Random(seed)
    planted: list[Incident] = []
    for incident in _ALL:
        for half in range(2):
            # In the middle of one half of the time: the day around it is within the traffic.
            at = begin + timedelta(days=days * (0.2 + 0.5 * half + 0.1 * draw.random()))
            quiet = begin - timedelta(hours=2 + 2 * half)
            planted.append(incident(Scene(draw, _ns(at), _ns(quiet))))
    marks = [mark for incident in planted for mark in incident.scene.marks]
    return [_with_marks(incident, marks) for incident in planted]


def _ns(at: datetime) -> int:
    return int(at.timestamp()) * SECOND_NS


def _with_marks(incident: Incident, marks: list[tuple[str, int, str]]) -> Incident:
    """A question about a time has to find what every incident left in it, and no more."""
    if "since" not in incident.parameters or incident.expected:
        return incident
    since_ns, until_ns = (_ns(incident.parameters[side]) for side in ("since", "until"))
    expected = {
        id_
        for question, at_ns, id_ in marks
        if question == incident.question and since_ns <= at_ns < until_ns
    }
    return replace(incident, expected=frozenset(expected))


def deleted_database(scene: Scene) -> Incident:
    """Who deleted it, for whom, and who approved that?"""
    agent = scene.agent(f"dora-{scene.hex(2)}@acme.example", "ops-agent")
    action, approver = run_approved(agent, "drop_table")
    expected = {f"principal {agent.user}", f"approver {approver}", "agent ops-agent", "mode human_approved"}

    def found(answer: Any) -> Iterable[str]:
        return {
            f"principal {answer.principal.id.value}",
            f"approver {answer.approval.approver.value}",
            f"agent {answer.actor.name.value}",
            f"mode {answer.mode.value}",
        }

    return Incident("deleted database", "who", {"id": action}, frozenset(expected), found, scene)


def ten_agents(scene: Scene) -> Incident:
    """An action at the end of ten agents in four traces."""
    agent = scene.agent(f"erin-{scene.hex(2)}@acme.example", "agent-0")
    for number in range(1, 10):
        agent = agent.delegate(f"agent-{number}", apart=number % 3 == 0)
    action = agent.action("send_mail", ATTRIBUTION_ACTION_EFFECT="communicate")
    expected = {f"{place} {name} propagated" for place, name in enumerate((agent.user, *agent.names[:-1]))}

    def found(answer: Any) -> Iterable[str]:
        return {f"{link.position} {link.name} {link.evidence}" for link in answer.links[:-1]}

    return Incident("ten agents", "chain", {"id": action.id}, frozenset(expected), found, scene)


def _stolen(scene: Scene) -> tuple[str, Agent, list[Sent], list[Sent]]:
    """A credential, its agent, the agent's uses, and the uses of whoever stole it."""
    agent = scene.agent(f"finn-{scene.hex(2)}@acme.example", "billing-agent")
    credential = credential_for(scene, agent.task)
    good = [
        agent.action("lookup_order", ATTRIBUTION_RESOURCE_ID=f"order/{n}", said=credential) for n in range(3)
    ]
    scene.wait(1_200)
    thief = [
        agent.span(
            "execute_tool",
            service=f"unknown-{number}",
            parent=Sent(span_id=scene.draw.randbytes(8)),
            said=credential,
            GEN_AI_TOOL_NAME="export",
            GEN_AI_AGENT_NAME=None,
            ATTRIBUTION_AGENT_INSTANCE_ID=None,
            ATTRIBUTION_AGENT_IDENTITY_ID=None,
            ATTRIBUTION_AGENT_IDENTITY_TYPE=None,
            ATTRIBUTION_DELEGATION_CHAIN=None,
            ATTRIBUTION_ACTION_ID=scene.hex(16),
            ATTRIBUTION_RESOURCE_TYPE="bucket",
            ATTRIBUTION_RESOURCE_ID=f"bucket/{number}",
        )
        for number in range(4)
    ]
    scene.mark("unattributed", *thief)
    return (
        str(credential["ATTRIBUTION_CREDENTIAL_ID"]),
        agent,
        [each.execution for each in good if each.execution],
        thief,
    )


def stolen_credential(scene: Scene) -> Incident:
    """Every use, which were by no agent of ours, and which of those was the first."""
    credential, _, good, thief = _stolen(scene)
    expected = {f"use {span.span_id.hex()}" for span in good}
    expected |= {f"unenrolled late use {span.span_id.hex()}" for span in thief}
    expected.add(f"first {thief[0].span_id.hex()}")

    def found(answer: Any) -> Iterable[str]:
        told = {
            ("" if item.enrolled else "unenrolled ")
            + ("late " if item.outside_lifetime else "")
            + f"use {span}"
            for item in answer.items
            for span in item.span_ids[:1]
        }
        first = answer.first_unenrolled_use
        return told | ({f"first {first.span_id}"} if first else set())

    return Incident("stolen credential", "credential", {"id": credential}, frozenset(expected), found, scene)


def reach_of_the_thief(scene: Scene) -> Incident:
    """Everything that a stolen credential reached, by whomever."""
    credential, agent, good, thief = _stolen(scene)
    expected = {f"action {len(good) + len(thief)}", "agent billing-agent", f"principal {agent.user}"}
    expected |= {f"resource order/{number}" for number in range(3)}
    expected |= {f"resource bucket/{number}" for number in range(4)}
    expected |= {"tool lookup_order", "tool export", "agent nobody"}

    def found(answer: Any) -> Iterable[str]:
        kinds = ("agent", "principal", "resource", "tool")
        told = {f"{node.kind} {node.id or 'nobody'}" for node in answer.nodes if node.kind in kinds}
        return {f"action {answer.action_count}"} | told

    asked = {"kind": "credential", "id": credential}
    return Incident("reach of the thief", "blast-radius", asked, frozenset(expected), found, scene)


def unattributed(scene: Scene) -> Incident:
    """Tools that ran for nobody."""
    agent = scene.agent("nobody@acme.example", "shadow-agent")
    spans = [
        agent.span(
            "execute_tool",
            service="shadow",
            GEN_AI_TOOL_NAME="sql_query",
            ATTRIBUTION_ACTION_ID=scene.hex(16),
            ATTRIBUTION_PRINCIPAL_ID=None,
            ATTRIBUTION_PRINCIPAL_TYPE=None,
            ATTRIBUTION_INITIATOR_ID=None,
            ATTRIBUTION_INITIATOR_TYPE=None,
            ATTRIBUTION_DELEGATION_CHAIN=None,
        )
        for _ in range(5)
    ]
    scene.mark("unattributed", *spans)
    return Incident("unattributed", "unattributed", day_around(scene), frozenset(), spans_of_items, scene)


def other_key(scene: Scene) -> Incident:
    """An action is refused with one credential, and tried again with another."""
    agent = scene.agent(f"gus-{scene.hex(2)}@acme.example", "sql-agent")
    digest = scene.digest()
    for number, error in enumerate(("PermissionDenied", None)):
        tried = agent.action(
            "sql_query",
            said=credential_for(scene, agent.task),
            ATTRIBUTION_ACTION_ARGUMENTS_HASH=digest,
            ATTRIBUTION_RESOURCE_ID="table/salaries",
            ERROR_TYPE=error,
        )
        if number and tried.execution:
            scene.mark("new-credential-on-retry", tried.execution, told=tried.id)
    asked = day_around(scene)
    return Incident("other key", "new-credential-on-retry", asked, frozenset(), _retried, scene)


def _retried(answer: Any) -> Iterable[str]:
    return {item.retried.action_id for item in answer.items}


def impostor(scene: Scene) -> Incident:
    """A process claims an identity that is not the one of its certificate."""
    agent = scene.agent(f"hal-{scene.hex(2)}@acme.example", f"payments-agent-{scene.hex(2)}")
    root = agent.delegate(f"impostor-{scene.hex(2)}", apart=True)
    scene.sent.pop()
    root.resource = {"attribution.agent.attested.id": "spiffe://acme.example/agent/unknown"}
    scene.sent.append((root.service, root.resource, root.root))
    done = root.action("refund", ATTRIBUTION_ACTION_EFFECT="write")
    spans = [span for span in (root.root, done.decision, done.execution) if span]
    scene.mark("identity-conflicts", *spans)
    asked = day_around(scene)
    return Incident("impostor", "identity-conflicts", asked, frozenset(), _all_spans, scene)


def _all_spans(answer: Any) -> Iterable[str]:
    return {span for item in answer.items for span in item.span_ids}


def deputy(scene: Scene) -> Incident:
    """Somebody has an agent use another's authority."""
    agent = scene.agent(f"ida-{scene.hex(2)}@acme.example", "finance-agent")
    other = f"cfo-{scene.hex(2)}@acme.example"
    done = agent.action(
        "transfer",
        ATTRIBUTION_ACTION_EFFECT="write",
        ATTRIBUTION_PRINCIPAL_ID=other,
        ATTRIBUTION_DELEGATION_CHAIN=[other, "finance-agent"],
    )
    for kind in ("initiator", "principal_changed", "decision"):
        scene.mark("confused-deputy", done.decision, told=f"{kind} {done.id}")
    asked = day_around(scene)
    return Incident("deputy", "confused-deputy", asked, frozenset(), _kinds, scene)


def _kinds(answer: Any) -> Iterable[str]:
    return {f"{item.kind} {item.action_id}" for item in answer.items}


def session_of_three_traces(scene: Scene) -> Incident:
    """Everything that happened in a session, in its order."""
    session = f"session-{scene.hex()}"
    for name in ("support-agent", "billing-agent", "support-agent"):
        agent = scene.agent("joe@acme.example", name, SESSION_ID=session)
        agent.action("lookup_order")
        agent.span("chat")
        scene.wait(300)
    expected = {f"{number} {span.span_id.hex()}" for number, (_, _, span) in enumerate(scene.sent)}

    def found(answer: Any) -> Iterable[str]:
        return {f"{number} {item.span_id}" for number, item in enumerate(answer.items)}

    asked = {"session": session}
    return Incident("session of three traces", "replay", asked, frozenset(expected), found, scene)


def probing(scene: Scene) -> Incident:
    """An agent tries one forbidden thing after the other."""
    agent = scene.agent(f"kim-{scene.hex(2)}@acme.example", "research-agent")
    rule = f"no-exports-{scene.hex(2)}"
    denied = [agent.action("export", denied_by=rule, ATTRIBUTION_RESOURCE_ID=f"table/{n}") for n in range(6)]
    agent.action("search")
    expected = {f"deny {each.id} not_recorded" for each in denied}

    def found(answer: Any) -> Iterable[str]:
        return {f"{item.outcome} {item.action_id} {item.ran}" for item in answer.items}

    return Incident(
        "probing", "decisions", {"rule": rule} | day_around(scene), frozenset(expected), found, scene
    )


def under_one_approval(scene: Scene) -> Incident:
    """An agent is given one approval, and goes on: what was approved, and what only says so?"""
    agent = scene.agent(f"lea-{scene.hex(2)}@acme.example", "ops-agent")
    alone = agent.action("list_tables")
    approved, _ = run_approved(agent, "drop_table")
    after = agent.action("send_mail")
    call = f"call_{scene.hex()}"
    other = agent.approval("drop_table", f"manager-{scene.hex(2)}@acme.example", scene.digest(), call)
    claimed = agent.action(
        "drop_table",
        GEN_AI_TOOL_CALL_ID=call,
        ATTRIBUTION_ACTION_MODE="human_approved",
        ATTRIBUTION_APPROVAL_ID=other,
    )
    agent.action("export", denied_by="no-exports")  # it did not run
    expected = {
        f"alone {alone.id}",
        f"approved {approved}",
        f"after_approval {after.id}",
        f"claimed {claimed.id}",
    }

    def found(answer: Any) -> Iterable[str]:
        return {f"{item.basis} {item.action_id}" for item in answer.items}

    asked = {"task": agent.task}
    return Incident("under one approval", "autonomy", asked, frozenset(expected), found, scene)


def shared_cache(scene: Scene) -> Incident:
    """A result that was made for one is given to others, out of a cache."""
    owner = scene.agent(f"mia-{scene.hex(2)}@acme.example", "hr-agent")
    made = owner.action("lookup_salary", ATTRIBUTION_RESULT_SOURCE="live")
    origin = made.execution or made.decision
    cached: dict[str, Value] = {
        "ATTRIBUTION_RESULT_SOURCE": "cache",
        "ATTRIBUTION_RESULT_ORIGIN_TRACE_ID": origin.trace_id.hex(),
        "ATTRIBUTION_RESULT_ORIGIN_SPAN_ID": origin.span_id.hex(),
        "ATTRIBUTION_RESULT_ORIGIN_INITIATOR_ID": owner.user,
    }
    owner.action("lookup_salary", said=cached)  # her own
    for _ in range(3):
        reader = scene.agent(f"noa-{scene.hex(2)}@acme.example", "hr-agent")
        read = reader.action("lookup_salary", said=cached)
        if read.execution:
            told = f"principal {read.id} of {owner.user} for {reader.user}"
            scene.mark("cache-crossings", read.execution, told=told)

    def found(answer: Any) -> Iterable[str]:
        return {
            f"{item.kind} {item.action_id} of {item.made_for.value} for {item.principal.value}"
            for item in answer.items
        }

    return Incident("shared cache", "cache-crossings", day_around(scene), frozenset(), found, scene)


def hidden_copy(scene: Scene) -> Incident:
    """A mail tool is approved; its next version sends a copy to somebody else."""
    agent = scene.agent(f"oda-{scene.hex(2)}@acme.example", "mail-agent")
    tool, seen, changed = f"send_mail_{scene.hex(2)}", scene.digest(), scene.digest()
    run_approved(agent, tool, {"ATTRIBUTION_TOOL_DEFINITION_HASH": seen})
    agent.action(tool, ATTRIBUTION_TOOL_DEFINITION_HASH=seen)
    first, _ = [agent.action(tool, ATTRIBUTION_TOOL_DEFINITION_HASH=changed) for _ in range(2)]
    expected = {f"first {first.id}", f"ran {changed} twice", f"approved {seen}"}

    def found(answer: Any) -> Iterable[str]:
        for item in answer.items:
            yield f"first {item.action_id}"
            yield f"ran {item.definition.value} {'twice' if item.run_count == 2 else item.run_count}"
            yield f"approved {item.approved_definition.value}"

    asked = {"tool": tool}
    return Incident("hidden copy", "tool-changed", asked, frozenset(expected), found, scene)


def injected(scene: Scene) -> Incident:
    """A mail tells an agent what to do: what had it been given before it did that?"""
    agent = scene.agent(f"pia-{scene.hex(2)}@acme.example", "mail-agent")
    mail = agent.action("read_mail")
    agent.span("chat")
    helper = agent.delegate("search-agent")
    search = helper.action("search")
    helper.root.duration_ns = scene.at_ns - helper.root.start_ns - 1
    agent.span("chat")
    export = agent.action("export", ATTRIBUTION_ACTION_EFFECT="communicate")
    agent.action("read_mail")  # afterwards
    expected = {
        f"tool_result same_invocation seen {mail.id}",
        f"tool_result callee seen {search.id}",
        "agent_result same_invocation seen None",
        "model same_invocation seen None",
        "model same_invocation unseen None",
    }

    def found(answer: Any) -> Iterable[str]:
        for item in answer.items:
            yield f"{item.kind} {item.how} {'seen' if item.seen_by_model else 'unseen'} {item.action_id}"

    return Incident("injected", "before", {"id": export.id}, frozenset(expected), found, scene)


_ALL: tuple[Callable[[Scene], Incident], ...] = (
    deleted_database,
    ten_agents,
    stolen_credential,
    reach_of_the_thief,
    unattributed,
    other_key,
    impostor,
    deputy,
    probing,
    session_of_three_traces,
    under_one_approval,
    shared_cache,
    hidden_copy,
    injected,
    recorded.what_an_auditor_asks,
    recorded.wiped,
    recorded.forged_mode,
    recorded.one_signature,
    recorded.newcomer,
    recorded.sent_mail,
)
