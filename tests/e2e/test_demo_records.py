"""The demo's agents in processes of their own, against a real service: the exact record of each action.

And four users at once, each in a process: nobody's span carries anything of another's. The scenario suite
has eight in one process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import stored
from tests.running import Running, environment, service
from whodid import demo

WHODID = (sys.executable, "-m", "whodid.cli.main")
POLICIES = Path(demo.__path__[0]) / "policies"
AGENTS_TIMEOUT_S = 170
USERS = tuple(f"user{number}@acme.example" for number in range(4))

Said = list[dict[str, str]]


def start(running: Running, user: str, task: str) -> subprocess.Popen[str]:
    """The demo's application under `whodid run`, which starts the order system by itself."""
    arguments = ("run", sys.executable, "-m", "whodid.demo.support", "--user", user, "--task", task)
    return subprocess.Popen(
        (*WHODID, *arguments),
        env=environment(
            OTEL_SERVICE_NAME="support", WHODID_POLICY=str(POLICIES), **running.exporter_variables
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> Said:
    """The lines that the application printed."""
    out, err = process.communicate(timeout=AGENTS_TIMEOUT_S)
    assert process.returncode == 0, err
    assert "receiver answered" in err
    return [json.loads(line) for line in out.splitlines()]


def call_ids(said: Said) -> dict[str, str]:
    return {line["story"]: line["tool_call_id"] for line in said if line["event"] == "tool_call"}


@dataclass(frozen=True)
class Told:
    """One action as `whodid who --json` tells it."""

    record: dict[str, Any]

    def value(self, *path: str) -> Any:
        found: Any = self.record
        for name in path:
            found = found[name]
        return found["value"]


def who(data_dir: Path, id_: str) -> Told:
    done = subprocess.run(
        (*WHODID, "who", id_, "--json", "--data-dir", str(data_dir)),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return Told(json.loads(done.stdout))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Told]:
    """The stories of one run for Alice, as the command line tells them while the service runs."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    with service(folder) as running:
        ids = call_ids(finish(start(running, "alice@acme.example", "task-1")))
        running.wait_until_stored()
        return {story: who(folder, id_) for story, id_ in ids.items()}


@pytest.mark.parametrize("story", ["autonomous", "approved", "mailed", "denied"])
def test_for_whom_and_why(told: Mapping[str, Told], story: str) -> None:
    action = told[story]
    for party in ("principal", "initiator"):
        assert action.value(party, "id") == "alice@acme.example"
        assert action.value(party, "type") == "human"
    assert action.value("task", "id") == "task-1"
    assert action.value("correlation_id") == "ticket-task-1"
    assert action.record["findings"] == []


def test_the_action_that_an_agent_chose_by_itself(told: Mapping[str, Told]) -> None:
    action = told["autonomous"]
    assert action.value("tool", "name") == "lookup_order"
    assert action.value("actor", "name") == "research-agent"
    assert action.value("actor", "instance").startswith("research-agent:")
    assert action.value("delegation_chain") == ["alice@acme.example", "support-agent", "research-agent"]
    assert action.value("mode") == "autonomous"
    assert action.value("decision", "outcome") == "allow"
    assert action.value("decision", "enforcement") == "allowed"
    assert action.value("decision", "rule") == "agents-may-look-things-up"
    assert action.value("approval", "id") is None
    assert action.value("credential", "type") == "bearer"
    assert action.value("credential", "id").startswith("sha256:")
    assert action.value("credential", "scopes") == ["orders:read"]
    assert action.value("credential", "task_id") == "task-1"
    assert action.record["outcome"]["status"] == "succeeded"


def test_the_action_that_somebody_approved(told: Mapping[str, Told]) -> None:
    action = told["approved"]
    assert action.value("tool", "name") == "refund_invoice"
    assert action.value("actor", "name") == "support-agent"
    assert action.value("delegation_chain") == ["alice@acme.example", "support-agent"]
    assert action.value("mode") == "human_approved"
    assert action.value("decision", "outcome") == "allow"
    assert action.value("decision", "rule") == "refunds-need-an-approval"
    assert action.value("approval", "status") == "granted"
    assert action.value("approval", "approver") == "bob@acme.example"
    assert action.record["approval"]["covers_action"] is True
    assert action.record["outcome"]["status"] == "succeeded"
    assert action.value("credential", "type") == "api_key"
    assert action.value("credential", "scopes") == ["invoices:refund", "mail:send"]


def test_the_mail_that_it_then_sent_by_itself(told: Mapping[str, Told]) -> None:
    action = told["mailed"]
    assert action.value("tool", "name") == "send_mail"
    assert action.value("mode") == "autonomous_after_approval"
    assert action.value("decision", "rule") == "support-may-write-to-customers"
    assert action.value("approval", "id") is None
    assert action.value("credential", "id") == told["approved"].value("credential", "id")
    assert action.record["outcome"]["status"] == "succeeded"


def test_the_action_that_a_policy_denied(told: Mapping[str, Told]) -> None:
    action = told["denied"]
    assert action.value("tool", "name") == "delete_customer"
    assert action.value("actor", "name") == "support-agent"
    assert action.value("delegation_chain") == ["alice@acme.example", "support-agent"]
    assert action.value("mode") == "autonomous_after_approval"
    assert action.value("decision", "outcome") == "deny"
    assert action.value("decision", "enforcement") == "blocked"
    assert action.value("decision", "rule") == "no-agent-deletes-a-customer"
    assert action.value("decision", "policy") == "support.cedar"
    assert action.record["decision"]["context_matches_hash"] is True
    assert action.value("approval", "id") is None
    assert action.record["outcome"]["status"] == "denied"


@pytest.mark.timeout(400)
def test_users_at_once_have_nothing_of_each_others(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    tasks = {user: task_of(user) for user in USERS}
    with service(folder) as running:
        processes = [start(running, user, task) for user, task in tasks.items()]
        said = {user: finish(process) for user, process in zip(USERS, processes, strict=True)}
        running.wait_until_stored()
        for user in USERS:
            for id_ in call_ids(said[user]).values():
                assert running.ask(f"who?id={id_}")["principal"]["id"]["value"] == user
        assert running.stop() == 0
    traces: dict[bytes, list[dict[str, Any]]] = {}
    for row in stored.spans(folder):
        traces.setdefault(row["trace_id"], []).append(row)
    assert len(traces) == len(USERS)
    credentials: set[str] = set()
    for spans in traces.values():
        user = spans[0]["attribution_principal_id"]
        assert operations(spans) == operations(next(iter(traces.values())))  # the same run for everybody
        for span in spans:
            assert_is_of(span, user, tasks[user])
        held = {span["attribution_credential_id"] for span in spans} - {""}
        assert len(held) == 2  # the desk's key, and the research agent's token
        credentials |= held
    assert len(credentials) == 2 * len(USERS)


def operations(spans: list[dict[str, Any]]) -> list[str]:
    """What the agents did, and not how MCP connected: a server that starts slowly is greeted twice."""
    return sorted(span["name"] for span in spans if span["gen_ai_operation_name"])


def assert_is_of(span: Mapping[str, Any], user: str, task: str) -> None:
    """The span names this user in every column that names one, and no other user anywhere."""
    assert span["attribution_principal_id"] == user
    assert span["attribution_initiator_id"] == user
    assert span["attribution_task_id"] == task
    assert span["attribution_delegation_chain"][0] == user
    assert span["attribution_correlation_id"] == f"ticket-{task}"
    whole = json.dumps(span, default=str)
    others = [other for other in USERS if other != user]
    assert not [other for other in others if other in whole or task_of(other) in whole]


def task_of(user: str) -> str:
    return f"task-of-{user.partition('@')[0]}"
