"""What the store has to say of each story: asked by the attribution questions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.scenarios.play import AFTERWARDS
from tests.scenarios.records import DELEGATION, Act, Record
from tests.scenarios.stories import Story
from whodid.store import Limits, Store
from whodid.store.questions import QUESTIONS
from whodid.store.records import WhoRecord

_CHAIN = "attribution_delegation_chain"
_SPANS = "SELECT * FROM whodid.spans ORDER BY start_time, span_id"
CANCELLED = "asyncio.exceptions.CancelledError"
_NOT_RUN = "no span shows that the action ran, nor that it was held back"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class About:
    """What is to know of a framework to read its records; as `play.about` says it."""

    cannot: dict[str, str]
    not_yet: dict[str, str]
    prefix: str
    delegating: list[str]
    handing_over: list[str]
    around: list[str]
    decides_first: bool
    lacks: dict[str, str]
    errors_are_texts: bool
    failed: dict[str, str]

    def tool(self, name: str) -> str:
        """A tool's name as the stories have it."""
        bare = name.removeprefix(self.prefix)
        return DELEGATION if bare in self.delegating else bare

    def call_id(self, given: str | None) -> str | None:
        """A call's id without what makes it the only one in a conversation of several stories."""
        return given and given.partition("~")[0]

    def chain(self, named: list[str] | None) -> tuple[str, ...]:
        """A delegation chain as the stories have it."""
        return tuple(each for each in named or () if each not in self.around)

    def notes(self) -> list[str]:
        """In words, what is otherwise in this framework's records, and what the comparison leaves out."""
        found = [f"`{name}` is missing in its records. {reason}" for name, reason in self.lacks.items()]
        if self.errors_are_texts:
            found.append("A tool's error arrives as a text: its class is not known.")
        if self.decides_first:
            found.append(
                "A call that waits for an approval was decided on before. That decision's action never ran, "
                "and is a record beside the one of the approved call."
            )
        if self.prefix:
            found.append(
                f"The names of its tools begin with `{self.prefix}`. That their server calls them otherwise "
                "is a finding of the validator, which is left out here."
            )
        if self.handing_over:
            found.append("Handing over is a tool's call, with a record of its own, which is left out here.")
        if self.around:
            found.append("What holds the agents that hand over is an agent too, left out of the chains here.")
        return found

    def expected(self, record: Record) -> dict[str, Any]:
        """A story's record, without what this framework cannot know."""
        said = record.as_json()
        if self.decides_first and said["approvals"]:
            # What was decided on before somebody was asked never ran as it was.
            waited = Act(tool=record.approvals[0][0], chain=record.agents[0], outcome="not_recorded")
            said = replace(
                record, acts=(*record.acts, waited), problems=(f"{waited.tool}: {_NOT_RUN}",)
            ).as_json()
        for act in said["acts"]:
            act.update(dict.fromkeys(self.lacks))
            if self.errors_are_texts and act["error"] is not None:
                act["error"] = "tool_error"
        return {**said, "acts": sorted(said["acts"], key=repr)}


class _Sparing(Limits):
    """One thread a query: there is little to read, and more threads cost more than they read."""

    def as_settings(self) -> dict[str, Any]:
        return {**super().as_settings(), "max_threads": 1}


class FarEnd:
    """A store with the spans of all frameworks in it, read once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._rows = self._store.select(_SPANS, {}, {})
        self._answers: dict[str, Any] = {}
        self._limits = _Sparing()

    def record(self, framework: str, story: Story, about: About) -> dict[str, Any]:
        """What there is of a story, in the shape of what has to be there."""
        prefix = f"{framework}/{story.name}/"
        rows = [row for row in self._rows if row["attribution_task_id"].startswith(prefix)]
        actions = {row["attribution_action_id"]: row for row in rows if row["attribution_action_id"]}
        answers = [self._who(action) for action in actions]
        answers = [each for each in answers if _value(each.tool.name) not in about.handing_over]
        agents = [row for row in rows if row["gen_ai_operation_name"] == "invoke_agent"]
        asked = {name: self._ask(name, prefix, rows, answers) for name in story.leaves.asked}
        return Record(
            acts=tuple(_act(each, about) for each in answers),
            agents=tuple(
                {about.chain(row[_CHAIN]) for row in agents if row["gen_ai_agent_name"] not in about.around}
            ),
            approvals=tuple(
                (
                    about.tool(row["gen_ai_tool_name"]),
                    row["attribution_approval_status"],
                    row["attribution_approval_approver_id"] or None,
                )
                for row in rows
                if row["gen_ai_operation_name"] == "resolve_approval"
            ),
            asked=asked,
            problems=(
                *self._problems(answers, about),
                *_strangers(rows),
                *self._left_behind(f"{framework}/{story.name}"),
            ),
        ).as_json()

    def _who(self, action_id: str) -> WhoRecord:
        question = QUESTIONS["who"]
        return question.ask(
            self._store.reader(limits=self._limits), question.parameters.model_validate({"id": action_id})
        )

    def _listing(self, name: str) -> list[Any]:
        """All items of a question, asked once for all stories."""
        if name not in self._answers:
            question = QUESTIONS[name]
            parameters = question.parameters.model_validate({"limit": 1000})
            self._answers[name] = question.ask(self._store.reader(limits=self._limits), parameters).items
        return self._answers[name]

    def _ask(self, name: str, prefix: str, rows: Sequence[Row], answers: list[WhoRecord]) -> Any:
        match name:
            case "chain":
                # By whose spans each of the chain's links is shown, of the last action.
                question = QUESTIONS["chain"]
                action = next(each.action_id for each in answers if _value(each.actor.name) == "research")
                parameters = question.parameters.model_validate({"id": action})
                told = question.ask(self._store.reader(limits=self._limits), parameters)
                return [link.name for link in told.links if link.evidence == "propagated"]
            case "new-credential-on-retry":
                return [
                    [item.failed.credential_id, item.retried.credential_id]
                    for item in self._listing(name)
                    if str(item.task.value).startswith(prefix)
                ]
            case "cache-crossings":
                return [
                    [item.principal.value, item.made_for.value]
                    for item in self._listing(name)
                    if str(item.task.value).startswith(prefix)
                ]
            case "services":
                actions = {each.action_id for each in answers}
                found = {row["service_name"] for row in rows if row["attribution_action_id"] in actions}
                return sorted(found)
            case _:
                # A framework may run an agent in a task of its own, and cancel that: this is said of it, too.
                agents = [row for row in rows if row["gen_ai_operation_name"] == "invoke_agent"]
                wrong = [
                    row for row in agents if row["status_code"] == "ERROR" and row["error_type"] != CANCELLED
                ]
                return [row[_CHAIN] for row in wrong]

    def _problems(self, answers: list[WhoRecord], about: About) -> list[str]:
        found: list[str] = []
        for each in answers:
            name = about.tool(str(_value(each.tool.name)))
            found += [f"{name}: {gap}" for gap in each.gaps]
            found += [f"{name}: {finding.rule} {finding.attribute}" for finding in each.findings]
            user = (_value(each.delegation_chain) or [None])[0]
            found += [
                f"{name}: for {party}"
                for party in (each.principal, each.initiator)
                if (party.type.value, party.id.value) != ("human", user)
            ]
        return found

    def _left_behind(self, cell: str) -> list[str]:
        """A span that came after the story, outside of any block: it is nobody's."""
        after = [row for row in self._rows if row["name"] == f"{AFTERWARDS} {cell}"]
        said = [row["attribution_principal_id"] + row["gen_ai_agent_name"] for row in after]
        return [] if said == [""] else [f"said afterwards: {said}"]


def _act(told: WhoRecord, about: About) -> Act:
    return Act(
        tool=about.tool(str(_value(told.tool.name))),
        call_id=about.call_id(_value(told.tool.call_id)),
        chain=about.chain(_value(told.delegation_chain)),
        mode=str(_value(told.mode)),
        decision=str(_value(told.decision.outcome)),
        enforcement=str(_value(told.decision.enforcement)),
        rule=str(_value(told.decision.rule)),
        outcome=told.outcome.status,
        error=told.outcome.error_type,
        approver=_value(told.approval.approver) if told.approval.covers_action else None,
        credential=_value(told.credential.id),
        effect=_value(told.tool.effect),
        resource=_value(told.resource.id),
    )


def _value(answer: Any) -> Any:
    return answer.value


def _strangers(rows: Sequence[Row]) -> list[str]:
    """Spans of one user's task that name another user in any column."""
    tasks = {row["attribution_task_id"] for row in rows}
    users = {task.rpartition("/")[2] for task in tasks}
    found: list[str] = []
    for row in rows:
        user = row["attribution_task_id"].rpartition("/")[2]
        # A cached result's origin is somebody else's, and said to be.
        maps = ("attributes", "links.attributes") if row["attribution_result_source"] == "cache" else ()
        said = json.dumps(
            {name: value for name, value in row.items() if name not in maps and "origin" not in name},
            default=str,
        )
        named = [other for other in users - {user} if other in said]
        if named or row["attribution_principal_id"] != user or row["attribution_initiator_id"] != user:
            found.append(f"{row['name']} of {user} names {named or row['attribution_principal_id']}")
    return found
