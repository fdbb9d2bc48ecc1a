"""claude-agent-sdk: one connection to its CLI: the turns, sub-agents and tools that it says are at work."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from opentelemetry.context import Context, get_current
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from whodid.instrumentation import baggage, effects
from whodid.instrumentation.context import current
from whodid.instrumentation.core import (
    Action,
    AgentRun,
    ToolCall,
    agent_start,
    approval_requested,
    approval_resolved,
)
from whodid.instrumentation.frameworks.seam import decide, quietly
from whodid.instrumentation.streams import attached

ADAPTER: Final = "claude_agent_sdk"
MAIN_AGENT: Final = "claude-code"
"""The agent of a session that is not started as one of the host's own: what the CLI calls itself."""
SPAWNING: Final = ("Agent", "Task")
"""The tool that starts a sub-agent; its name until 2.1 was the second."""

Given = Mapping[str, Any]
Hook = Callable[[Any, Any, Any], Awaitable[Any]]


def _noted(note: Callable[[Given, Any], Any]) -> Hook:
    """A hook without an opinion."""

    async def hook(given: Any, call_id: Any, _: Any) -> Any:
        quietly(ADAPTER, "an event could not be recorded", lambda: note(given, call_id))
        return {}

    return hook


class Session:
    """What is at work. The CLI's hooks come one by one, each in a task of its own."""

    def __init__(self) -> None:
        self.context: Context = get_current()
        """Where the current question was asked."""
        self._turn: AgentRun | None = None
        self._subagents: dict[str, AgentRun] = {}
        self._actions: dict[Any, Action] = {}
        self._spawning: set[str] = set()
        self._definitions: dict[str, Given] = {}
        self._effects: dict[str, str | None] = {}

    def hooks(self) -> dict[str, Hook]:
        """Ours, by the event."""
        return {
            "PreToolUse": self._before_tool,
            "UserPromptSubmit": _noted(self._agent),
            "SubagentStart": _noted(self._agent),
            "SubagentStop": _noted(self._stopped),
            "PostToolUse": _noted(self._done),
            "PostToolUseFailure": _noted(self._failed),
        }

    def _agent(self, given: Given, _: Any = None) -> AgentRun:
        """The agent that a hook is about; started if this is the first that is heard of it."""
        agent_id, name = given.get("agent_id"), given.get("agent_type")
        if agent_id is None:
            if self._turn is None:
                session_id = given.get("session_id")
                self._turn = agent_start(
                    str(name or MAIN_AGENT), adapter=ADAPTER, conversation_id=session_id, parent=self.context
                )
            return self._turn
        if agent_id not in self._subagents:
            parent = self._spawned_by(name) or self._agent({"session_id": given.get("session_id")}).context
            self._subagents[agent_id] = agent_start(str(name), adapter=ADAPTER, parent=parent)
        return self._subagents[agent_id]

    def _spawned_by(self, name: Any) -> Context | None:
        """Inside of the call that started a sub-agent; the CLI does not say which, if there are several."""
        waiting = [
            (call_id, action)
            for call_id, action in self._actions.items()
            if action.call.name in SPAWNING and call_id not in self._spawning
        ]
        of_that_kind = [found for found in waiting if found[1].call.arguments.get("subagent_type") == name]
        for call_id, action in (of_that_kind or waiting)[:1]:
            self._spawning.add(call_id)
            return action.start().context
        return None

    def _stopped(self, given: Given, _: Any) -> None:
        if (run := self._subagents.pop(given["agent_id"], None)) is not None:
            run.finish()

    async def _before_tool(self, given: Any, call_id: Any, _: Any) -> Any:
        denial = self._begin(given, call_id)
        if denial is None:
            return {}
        said = {"permissionDecision": "deny", "permissionDecisionReason": denial}
        return {"hookSpecificOutput": {"hookEventName": "PreToolUse", **said}}

    def _begin(self, given: Given, call_id: Any) -> str | None:
        """Decide on a call and start its action; gives the denial, if it is one."""
        run = quietly(ADAPTER, "an agent's span could not be started", lambda: self._agent(given))
        with attached(self.context if run is None else run.context):
            action = decide(ADAPTER, lambda: self._call(given, call_id))
        if action is None or action.denial is not None:
            self._did_not_run(call_id)
            return None if action is None else action.denial
        action.start()
        self._actions[call_id] = action
        return None

    def _call(self, given: Given, call_id: Any) -> ToolCall:
        definition: Any = self._definitions.get(given["tool_name"])
        return ToolCall(
            name=given["tool_name"],
            call_id=call_id,
            arguments=given["tool_input"],
            description=definition and definition["description"],
            definition=definition,
            effect=self._effects.get(given["tool_name"]),
        )

    def _done(self, given: Given, call_id: Any) -> None:
        self._spawning.discard(call_id)
        if (action := self._actions.pop(call_id, None)) is not None:
            action.result(given.get("tool_response"))
            action.start().finish()

    def _failed(self, given: Given, call_id: Any) -> None:
        self._spawning.discard(call_id)
        if (action := self._actions.pop(call_id, None)) is not None:
            action.start().finish("interrupted" if given.get("is_interrupt") else "tool_error")

    def _did_not_run(self, call_id: Any) -> None:
        if (action := self._actions.pop(call_id, None)) is not None:
            action.did_not_run()

    def can_use_tool(self, ask: Hook) -> Hook:
        """The host's answer to a request for permission, recorded."""

        async def asked(name: Any, given: Any, context: Any) -> Any:
            request = {"tool_name": name, "tool_input": given, "agent_id": getattr(context, "agent_id", None)}
            call_id = getattr(context, "tool_use_id", None)
            self._requested(request, call_id)
            try:
                answer = await ask(name, given, context)
            except BaseException:
                self._did_not_run(call_id)  # no answer is none that allows
                raise
            allowed, changed = (
                getattr(answer, "behavior", None) == "allow",
                getattr(answer, "updated_input", None),
            )
            denial = self._answered(request, call_id, allowed, changed)
            if denial is None:
                return answer
            return sys.modules["claude_agent_sdk.types"].PermissionResultDeny(message=denial)

        return asked

    def overheard(self, ask: Hook) -> Hook:
        """The same for a hook of the host's that may answer it."""

        async def hook(given: Any, call_id: Any, context: Any) -> Any:
            self._requested(given, call_id)
            output = await ask(given, call_id, context)
            own: Any = output and output.get("hookSpecificOutput")
            decision: Any = own and own.get("decision")
            if not decision:
                return output
            allowed, changed = decision.get("behavior") == "allow", decision.get("updatedInput")
            denial = self._answered(given, call_id, allowed, changed)
            if denial is None:
                return output
            said = {"hookEventName": "PermissionRequest", "decision": {"behavior": "deny", "message": denial}}
            return {"hookSpecificOutput": said}

        return hook

    def _requested(self, given: Given, call_id: Any) -> None:
        def note() -> None:
            with attached(self._agent(given).context):
                approval_requested(self._call(given, call_id))

        quietly(ADAPTER, "a request for approval could not be recorded", note)

    def _answered(self, given: Given, call_id: Any, granted: bool, changed: Any) -> str | None:
        """Record the answer; gives a denial if the policies forbid what was approved.

        They were asked before anybody else. What was approved, perhaps with other arguments, is decided on
        anew: the action that runs is the one that has the approval, and begins after it.
        """
        if granted and changed is not None:
            given = {**given, "tool_input": changed}
        self._resolve(given, call_id, granted)
        self._did_not_run(call_id)
        return self._begin(given, call_id) if granted else None

    def _resolve(self, given: Given, call_id: Any, granted: bool) -> None:
        quietly(
            ADAPTER,
            "an answer to a request for approval could not be recorded",
            lambda: approval_resolved(
                self._call(given, call_id), granted, adapter=ADAPTER, context=self._agent(given).context
            ),
        )

    def sent(self, server: str, message: Given) -> Given | None:
        """A request to a tool in this process with the attribution of its call; None if it is none."""
        parameters: dict[str, Any] = message.get("params") or {}
        if message.get("method") != "tools/call":
            return None
        meta = dict(parameters.get("_meta") or {})
        action = self._actions.get(str(meta.get("claudecode/toolUseId")))
        if action is None or action.call.name != f"mcp__{server}__{parameters.get('name')}":
            return None
        context = action.start().context
        TraceContextTextMapPropagator().inject(meta, context)
        # To its server the tool is called as there.
        baggage.inject(meta, current(context).changed(tool_name=parameters.get("name")))
        return {**message, "params": {**parameters, "_meta": meta}}

    def listed(self, server: str, answer: Any) -> None:
        """Keep what a server in this process tells the model of its tools."""
        result: Any = answer and answer.get("result")
        tools: list[Any] = (result and result.get("tools")) or []
        for tool in tools:
            name = f"mcp__{server}__{tool['name']}"
            hints: dict[str, Any] = tool.get("annotations") or {}
            self._effects[name] = effects.of_hints(hints.get("readOnlyHint"), hints.get("destructiveHint"))
            self._definitions[name] = {
                "name": tool["name"],
                "description": tool.get("description"),
                "parameters": tool.get("inputSchema"),
            }

    def result(self, message: Given) -> None:
        """A turn is over."""
        for denied in message.get("permission_denials") or ():
            self._did_not_run(denied["tool_use_id"])  # by the CLI's own rules
        turn, self._turn = self._turn, None
        if turn is not None:
            subtype = message.get("subtype")
            error = (subtype if subtype != "success" else "api_error") if message.get("is_error") else None
            turn.finish(error)

    def close(self, error: BaseException | None = None) -> None:
        """The connection is over, whatever was still at work."""
        while self._actions:
            self._actions.popitem()[1].start().finish("interrupted")
        while self._subagents:
            self._subagents.popitem()[1].finish()
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.finish(error)
