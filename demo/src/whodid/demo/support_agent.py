"""The demo's support agent: an openai-agents agent that asks, refunds, writes, and goes one step too far.

Nothing here mentions whodid: this is the code of somebody who does not know that it is being attributed.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agents import Agent, function_tool
from agents.testing import ScriptedModel, assistant_message, function_call


@dataclass(frozen=True)
class CallIds:
    """The ids of the tool calls of one run. Real models make them up; these follow from the task, so that
    runs at the same time can be told apart."""

    research: str
    lookup: str
    refund: str
    mail: str
    delete: str

    @classmethod
    def of(cls, task: str) -> "CallIds":
        tag = hashlib.sha256(task.encode()).hexdigest()[:10]
        return cls(*(f"call_{tag}_{step}" for step in ("research", "lookup", "refund", "mail", "delete")))


def _model(calls: CallIds) -> ScriptedModel:
    question = {"question": "What happened to order A-1042?"}
    refund = {"invoice": "INV-1042", "amount_eur": 329}
    mail = {"to": "ada@customer.example", "text": "We have paid invoice INV-1042 back. We are sorry."}
    return ScriptedModel(
        [
            [function_call("ask_research_agent", question, call_id=calls.research)],
            [function_call("refund_invoice", refund, call_id=calls.refund)],
            [function_call("send_mail", mail, call_id=calls.mail)],
            [function_call("delete_customer", {"customer": "C-77"}, call_id=calls.delete)],
            [
                assistant_message(
                    "I refunded INV-1042 and wrote to the customer. I was not allowed to delete her."
                )
            ],
        ]
    )


@function_tool(needs_approval=True)
def refund_invoice(invoice: str, amount_eur: float) -> str:
    """Pays an invoice back. Somebody has to approve it."""
    return f"Refunded {amount_eur:.2f} EUR of {invoice}."


@function_tool
def send_mail(to: str, text: str) -> str:
    """Writes to a customer."""
    return f"Sent {len(text)} characters to {to}."


@function_tool
def delete_customer(customer: str) -> str:
    """Deletes a customer for good."""
    return f"Deleted {customer}."


def build(calls: CallIds, research: Callable[[str], Awaitable[str]]) -> Agent[None]:
    """The agent. `research` answers a question by asking the research agent."""

    @function_tool
    async def ask_research_agent(question: str) -> str:
        """Asks the research agent, which knows the orders."""
        return await research(question)

    return Agent(
        name="support-agent",
        instructions="You settle complaints of customers.",
        model=_model(calls),
        tools=[ask_research_agent, refund_invoice, send_mail, delete_customer],
    )
