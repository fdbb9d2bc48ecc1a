"""The one list of stories: each in words, as steps on a stage, and with the record that it has to leave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.scenarios import tools
from tests.scenarios.records import APPROVER, DELEGATION, FIRST, SECOND, Act, Record
from tests.scenarios.script import Call, Delegate, HandOff, script
from tests.scenarios.stage import Stage

ALICE, CAROL = "alice@acme.example", "carol@acme.example"
CROWD = tuple(f"user{number}@acme.example" for number in range(8))
LOOKUP = Call("lookup_order", {"order_id": "17"})
LOOKED_UP = Act(tool="lookup_order", chain=(ALICE, "support"), effect="read", resource="order/17")


@dataclass(frozen=True, slots=True)
class Story:
    """A scenario."""

    name: str
    words: str
    plays: Callable[[Stage], Awaitable[None]]
    leaves: Record


async def _single_tool(stage: Stage) -> None:
    with stage.asks(ALICE):
        await stage.act(script("support", LOOKUP))


async def _parallel_tools(stage: Stage) -> None:
    calls = tuple(Call("lookup_order", {"order_id": str(n)}, f"call_{n}") for n in range(3))
    with stage.asks(ALICE):
        await stage.act(script("support", calls))


async def _delegation(stage: Stage) -> None:
    research = script("research", LOOKUP)
    planner = script("planner", Delegate(research, "call_d2"))
    with stage.asks(ALICE):
        await stage.act(script("support", Delegate(planner, "call_d1")))


async def _hand_off(stage: Stage) -> None:
    with stage.asks(ALICE):
        await stage.act(script("support", HandOff(script("billing", LOOKUP))))


async def _tool_error(stage: Stage) -> None:
    # Some frameworks tell the model of it, and some end the run.
    with stage.asks(ALICE), suppress(LookupError):
        await stage.act(script("support", Call("find_parcel", {"parcel_id": "9"})))


async def _new_credential(stage: Stage) -> None:
    charge = script("support", Call("charge_card", {"amount": 5}))
    tools.Card.is_blocked = True
    with stage.asks(ALICE, credential=FIRST), suppress(tools.CardBlockedError):
        await stage.act(charge)
    tools.Card.is_blocked = False
    with stage.asks(ALICE, credential=SECOND):
        await stage.act(charge)


REFUND = script("support", Call("refund", {"amount": 5}), Call("lookup_order", {"order_id": "17"}, "call_2"))
WIRE = script("support", Call("wire_money", {"amount": 5}))
REFUNDED = (
    Act(tool="refund", chain=(ALICE, "support"), mode="human_approved", approver=APPROVER),
    Act(
        tool="lookup_order",
        chain=(ALICE, "support"),
        call_id="call_2",
        mode="autonomous_after_approval",
        effect="read",
        resource="order/17",
    ),
)


async def _granted(stage: Stage) -> None:
    with stage.asks(ALICE):
        await stage.ask_first(REFUND, granted=True)


async def _refused(stage: Stage) -> None:
    with stage.asks(ALICE):
        await stage.ask_first(script("support", *REFUND.turns[:1]), granted=False)


async def _expired(stage: Stage) -> None:
    with stage.asks(ALICE), stage.approvals_expire_at_once():
        await stage.ask_first(WIRE, granted=True)


async def _resumed(stage: Stage) -> None:
    with stage.asks(ALICE):
        await stage.ask_in_another_process(REFUND)


async def _denied(stage: Stage) -> None:
    with stage.asks(ALICE):
        await stage.act(script("support", Call("delete_customer", {"customer": "C"})))


async def _abandoned(stage: Stage) -> None:
    with stage.asks(ALICE):
        await stage.abandon(script("support"))


async def _crowd(stage: Stage) -> None:
    async def one(user: str) -> None:
        number = user.partition("@")[0].removeprefix("user")
        with stage.asks(user):
            await stage.act(script("support", Call("lookup_order", {"order_id": number}, f"call_{number}")))

    await asyncio.gather(*(one(user) for user in CROWD))


async def _mcp(stage: Stage) -> None:
    with stage.asks(ALICE):
        await stage.act(script("support", Call("check_stock", {"item": "lamp"})))


async def _cached(stage: Stage) -> None:
    for user in (ALICE, CAROL):
        with stage.asks(user):
            await stage.act(script("support", Call("get_report", {"quarter": "Q3"})))


STORIES: dict[str, Story] = {
    story.name: story
    for story in (
        Story(
            "single tool",
            "Alice's agent looks up an order.",
            _single_tool,
            Record(acts=(LOOKED_UP,), agents=((ALICE, "support"),)),
        ),
        Story(
            "parallel tools",
            "The model asks for three orders at once.",
            _parallel_tools,
            Record(
                acts=tuple(
                    Act(
                        tool="lookup_order",
                        chain=(ALICE, "support"),
                        call_id=f"call_{n}",
                        effect="read",
                        resource=f"order/{n}",
                    )
                    for n in range(3)
                ),
                agents=((ALICE, "support"),),
            ),
        ),
        Story(
            "delegation three deep",
            "The agent has a planner do it, the planner a researcher, and that one looks up the order.",
            _delegation,
            Record(
                acts=(
                    Act(tool=DELEGATION, chain=(ALICE, "support"), call_id="call_d1"),
                    Act(tool=DELEGATION, chain=(ALICE, "support", "planner"), call_id="call_d2"),
                    Act(
                        tool="lookup_order",
                        chain=(ALICE, "support", "planner", "research"),
                        effect="read",
                        resource="order/17",
                    ),
                ),
                agents=(
                    (ALICE, "support"),
                    (ALICE, "support", "planner"),
                    (ALICE, "support", "planner", "research"),
                ),
                asked={"chain": [ALICE, "support", "planner", "research"]},
            ),
        ),
        Story(
            "hand-off",
            "The agent hands over to billing, which looks up the order.",
            _hand_off,
            Record(
                acts=(
                    Act(
                        tool="lookup_order",
                        chain=(ALICE, "support", "billing"),
                        effect="read",
                        resource="order/17",
                    ),
                ),
                agents=((ALICE, "support"), (ALICE, "support", "billing")),
            ),
        ),
        Story(
            "tool error",
            "The tool raises an exception.",
            _tool_error,
            Record(
                acts=(
                    Act(tool="find_parcel", chain=(ALICE, "support"), outcome="failed", error="LookupError"),
                ),
                agents=((ALICE, "support"),),
            ),
        ),
        Story(
            "retry with a new credential",
            "A card cannot be charged with one credential; in the same task, another one works.",
            _new_credential,
            Record(
                acts=(
                    Act(
                        tool="charge_card",
                        chain=(ALICE, "support"),
                        outcome="failed",
                        error="tests.scenarios.tools.CardBlockedError",
                        credential=FIRST.id,
                    ),
                    Act(tool="charge_card", chain=(ALICE, "support"), credential=SECOND.id),
                ),
                agents=((ALICE, "support"),),
                asked={"new-credential-on-retry": [[FIRST.id, SECOND.id]]},
            ),
        ),
        Story(
            "approval granted",
            "Bob approves a refund; then the agent looks up an order by itself.",
            _granted,
            Record(acts=REFUNDED, agents=((ALICE, "support"),), approvals=(("refund", "granted", APPROVER),)),
        ),
        Story(
            "approval refused",
            "Bob refuses a refund, which does not happen.",
            _refused,
            Record(agents=((ALICE, "support"),), approvals=(("refund", "refused", APPROVER),)),
        ),
        Story(
            "approval expired",
            "Bob's approval is out of date when the money is to be wired, and the policy holds it back.",
            _expired,
            Record(
                acts=(
                    Act(
                        tool="wire_money",
                        chain=(ALICE, "support"),
                        mode="autonomous_after_approval",
                        decision="deny",
                        enforcement="blocked",
                        rule="wires-need-approval",
                        outcome="denied",
                    ),
                ),
                agents=((ALICE, "support"),),
                approvals=(("wire_money", "granted", APPROVER),),
            ),
        ),
        Story(
            "approval resumed later",
            "The run stops to ask and is put away; another process has Bob's approval and goes on.",
            _resumed,
            Record(acts=REFUNDED, agents=((ALICE, "support"),), approvals=(("refund", "granted", APPROVER),)),
        ),
        Story(
            "denied call",
            "A policy forbids what the model wants, and it does not happen.",
            _denied,
            Record(
                acts=(
                    Act(
                        tool="delete_customer",
                        chain=(ALICE, "support"),
                        decision="deny",
                        enforcement="blocked",
                        rule="no-deletion",
                        outcome="denied",
                    ),
                ),
                agents=((ALICE, "support"),),
            ),
        ),
        Story(
            "stream abandoned",
            "Nobody reads the answer to its end: the agent may be cancelled by that, but has not failed.",
            _abandoned,
            Record(agents=((ALICE, "support"),), asked={"failed agents": []}),
        ),
        Story(
            "eight users at once",
            "Eight users are served at the same time by one process, and nothing is told of the wrong one.",
            _crowd,
            Record(
                acts=tuple(
                    Act(
                        tool="lookup_order",
                        chain=(user, "support"),
                        call_id=f"call_{number}",
                        effect="read",
                        resource=f"order/{number}",
                    )
                    for number, user in enumerate(CROWD)
                ),
                agents=tuple((user, "support") for user in CROWD),
            ),
        ),
        Story(
            "MCP server that calls another",
            "A tool's work is done by an MCP server in another process, which calls a tool of a third one.",
            _mcp,
            Record(
                acts=(
                    Act(tool="check_stock", chain=(ALICE, "support")),
                    Act(tool="count_items", chain=(ALICE, "support"), call_id=None),
                ),
                agents=((ALICE, "support"),),
                asked={"services": ["agent", "orders", "warehouse"]},
            ),
        ),
        Story(
            "cached result of another user's",
            "Carol's agent is given the report that was made for Alice.",
            _cached,
            Record(
                acts=(
                    Act(tool="get_report", chain=(ALICE, "support")),
                    Act(tool="get_report", chain=(CAROL, "support")),
                ),
                agents=((ALICE, "support"), (CAROL, "support")),
                asked={"cache-crossings": [[CAROL, ALICE]]},
            ),
        ),
    )
}
"""By name."""
