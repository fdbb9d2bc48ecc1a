"""Incidents that are found by going through what is recorded: listings, counts, one span."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.benchmarks.incident import Incident, day_around, run_approved
from tests.benchmarks.scenes import SECOND_NS, Scene
from tests.spans import Value


def what_an_auditor_asks(scene: Scene) -> Incident:
    """Four actions, one of them approved and one for nobody: which fields of an audit record are there?"""
    scene.at_ns = scene.quiet_ns
    agent = scene.agent(f"uma-{scene.hex(2)}@acme.example", "billing-agent")
    for number in range(2):
        agent.action("lookup_order", ATTRIBUTION_RESOURCE_ID=f"order/{number}")
    run_approved(agent, "refund", {"ATTRIBUTION_RESOURCE_ID": "order/1"})
    nobody = scene.agent("nobody@acme.example", "shadow-agent").span(
        "execute_tool",
        GEN_AI_TOOL_NAME="sql_query",
        ATTRIBUTION_ACTION_ID=scene.hex(16),
        ATTRIBUTION_PRINCIPAL_ID=None,
        ATTRIBUTION_PRINCIPAL_TYPE=None,
        ATTRIBUTION_INITIATOR_ID=None,
        ATTRIBUTION_INITIATOR_TYPE=None,
        ATTRIBUTION_DELEGATION_CHAIN=None,
    )
    said = {"identity": 4, "tool": 4, "correlation": 0, "attested": 0, "reason": 0}
    said |= dict.fromkeys(("principal", "chain", "resource", "mode", "effect", "decision", "enforcement"), 3)
    expected = {f"{fact} {count} of 4" for fact, count in said.items()}
    expected |= {f"without principal {nobody.span_id.hex()}", "field 1 evidenced"}
    expected |= {f"field {number} partly" for number in (2, 3, 4, 7)}
    expected |= {f"field {number} not_evidenced" for number in (5, 6)}

    def found(answer: Any) -> Iterable[str]:
        for item in answer.items:
            yield f"{item.control} {item.status}"
            for fact in item.facts:
                yield f"{fact.name} {fact.said_count} of {fact.action_count}"
                if fact.name == "principal":
                    yield from (f"without principal {span}" for span in fact.span_ids_without)

    since = datetime.fromtimestamp(scene.quiet_ns / SECOND_NS, UTC)
    asked = {"frameworks": ["aims"], "since": since, "until": since + timedelta(hours=1)}
    return Incident("what an auditor asks", "coverage", asked, frozenset(expected), found, scene)


def wiped(scene: Scene) -> Incident:
    """Somebody's files are deleted one by one: some fail, one is denied. Which were they?"""
    agent = scene.agent(f"rex-{scene.hex(2)}@acme.example", "files-agent")
    tool = f"delete_file_{scene.hex(2)}"
    said = {"ATTRIBUTION_ACTION_EFFECT": "delete"}
    done = [agent.action(tool, said=said, ERROR_TYPE="OSError" if n % 2 else None) for n in range(5)]
    held = agent.action(tool, denied_by="no-deletes", said=said)
    agent.action("list_files")
    expected = {f"{'failed' if n % 2 else 'succeeded'} {each.id}" for n, each in enumerate(done)}
    expected.add(f"denied {held.id}")

    def found(answer: Any) -> Iterable[str]:
        return {f"{item.status} {item.action_id}" for item in answer.items}

    asked = {"tool": [tool], "effect": ["delete"]}
    return Incident("wiped", "actions", asked, frozenset(expected), found, scene)


def forged_mode(scene: Scene) -> Incident:
    """An agent claims modes that nobody defined: which of its spans, by which rule?"""
    agent = scene.agent(f"sam-{scene.hex(2)}@acme.example", "forging-agent")
    done = [agent.action("refund", ATTRIBUTION_ACTION_MODE="approved_by_everybody") for _ in range(3)]
    agent.action("refund")
    spans = [span for each in done for span in (each.decision, each.execution) if span]
    expected = {f"undefined_value {span.span_id.hex()}" for span in spans} | {"6 spans"}

    def found(answer: Any) -> Iterable[str]:
        yield from (f"{item.rule} {item.span_id}" for item in answer.items)
        yield from (f"{count.span_count} spans" for count in answer.counts)

    asked = {"trace": agent.trace_id.hex(), "rule": ["undefined_value"], "group_by": "rule"}
    return Incident("forged mode", "findings", asked, frozenset(expected), found, scene)


def one_signature(scene: Scene) -> Incident:
    """A manager approves one thing, and another is done under it too."""
    agent = scene.agent(f"tia-{scene.hex(2)}@acme.example", "ops-agent")
    approver, digest, call = f"manager-{scene.hex(2)}@acme.example", scene.digest(), f"call_{scene.hex()}"
    approval = agent.approval("drop_table", approver, digest, call)
    said: dict[str, Value] = {
        "ATTRIBUTION_ACTION_MODE": "human_approved",
        "ATTRIBUTION_APPROVAL_ID": approval,
    }
    right = agent.action("drop_table", said=said, ATTRIBUTION_ACTION_ARGUMENTS_HASH=digest)
    wrong = agent.action("drop_table", said=said)
    expected = {f"granted {approval}", f"covered {right.id}", f"not covered {wrong.id}"}

    def found(answer: Any) -> Iterable[str]:
        for item in answer.items:
            yield f"{item.status} {item.approval_id}"
            yield from (f"{'' if use.covered else 'not '}covered {use.action_id}" for use in item.uses)

    asked = {"approver": [approver], **day_around(scene)}
    return Incident("one signature", "approvals", asked, frozenset(expected), found, scene)


def newcomer(scene: Scene) -> Incident:
    """An agent that was never seen before works with a tool that was never seen before."""
    name, tool = f"newcomer-{scene.hex(2)}", f"exfiltrate_{scene.hex(2)}"
    agent = scene.agent("lea@acme.example", name)
    agent.action(tool)
    scene.mark("first-seen", agent.root, told=f"agent {name}")
    scene.mark("first-seen", agent.root, told=f"tool {tool}")

    def found(answer: Any) -> Iterable[str]:
        # Other incidents bring agents and tools of their own.
        return {
            f"{item.kind} {item.value}"
            for item in answer.items
            if item.value.startswith(("newcomer-", "exfiltrate_"))
        }

    asked = {"kind": ["agent", "tool"], "limit": 1_000, **day_around(scene)}
    return Incident("newcomer", "first-seen", asked, frozenset(), found, scene)


def sent_mail(scene: Scene) -> Incident:
    """What exactly is recorded of one mail?"""
    agent = scene.agent(f"vic-{scene.hex(2)}@acme.example", "mail-agent")
    done = agent.action("send_mail", GEN_AI_TOOL_CALL_ARGUMENTS=f"to {scene.hex()}@acme.example")
    span = done.execution or done.decision
    withheld = "gen_ai.tool.call.arguments"
    expected = {f"{name} {'is content' if name == withheld else 'told'}" for name in span.attributes}
    expected.add("attribution.evidence.level told")  # which the processor says itself

    def found(answer: Any) -> Iterable[str]:
        return {f"{each.name} {'is content' if each.withheld else 'told'}" for each in answer.attributes}

    asked = {"trace_id": span.trace_id.hex(), "span_id": span.span_id.hex()}
    return Incident("sent mail", "span", asked, frozenset(expected), found, scene)
