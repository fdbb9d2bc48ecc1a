"""The tools of the stories, as plain functions: each framework makes tools of them in its own way."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from whodid.instrumentation import tool_effect
from whodid.instrumentation.provenance import cached

MCP_URL = "SCENARIO_MCP_URL"
"""The variable with the address of the orders server."""
NEED_APPROVAL = ("refund", "wire_money")
did: list[str] = []
"""What was really done to the world, for the player to look at."""


class CardBlockedError(Exception):
    """The payment provider refuses this credential."""


@tool_effect(resource="order/{order_id}", effect="read")
def lookup_order(order_id: str) -> str:
    """Looks up an order."""
    did.append(f"lookup_order {order_id}")
    return f"order {order_id}: paid"


def find_parcel(parcel_id: str) -> str:
    """Looks for a parcel that is lost."""
    raise LookupError(parcel_id)


class Card:
    """Whether the provider takes the credential that is in use."""

    is_blocked = False


def charge_card(amount: int) -> str:
    """Charges a card."""
    if Card.is_blocked:
        raise CardBlockedError
    did.append(f"charge_card {amount}")
    return f"charged {amount}"


def delete_customer(customer: str) -> str:
    """Deletes a customer."""
    did.append(f"delete_customer {customer}")
    return "deleted"


def refund(amount: int) -> str:
    """Refunds, if somebody approves."""
    did.append(f"refund {amount}")
    return f"refunded {amount}"


def wire_money(amount: int) -> str:
    """Wires money, if somebody approves; the policies look at that as well."""
    did.append(f"wire_money {amount}")
    return f"wired {amount}"


@cached
def _make_report(quarter: str) -> str:
    return f"report of {quarter}"


def get_report(quarter: str) -> str:
    """Gets a report, which is kept for whoever asks next."""
    return _make_report(quarter)


async def check_stock(item: str) -> str:
    """Asks the orders server, which asks the warehouse."""
    from tests.scenarios import servers  # which imports an SDK that not every environment has

    return await servers.called(os.environ[MCP_URL], "check_stock", item=item)


TOOLS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        lookup_order,
        find_parcel,
        charge_card,
        delete_customer,
        refund,
        wire_money,
        get_report,
        check_stock,
    )
}
