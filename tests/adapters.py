"""Adapters, really installed for a test, and the spans that the agents of the test ended under them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from whodid.instrumentation import attribution, cedar, frameworks, guard
from whodid.semconv import attributes as attr

DENY_DELETE = """
@id("everything") permit (principal, action, resource);
@id("no-deletion") forbid (principal, action, resource == Tool::"delete_customer");
"""


class Spans:
    """The spans that ended since the adapters were installed."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def find(self, operation: str | None = None, **wanted: str) -> list[ReadableSpan]:
        """Ended spans in their order, of an operation, with attributes (`gen_ai_tool_name="x"`)."""
        names = {getattr(attr, name.upper()): value for name, value in wanted.items()}
        if operation is not None:
            names[attr.GEN_AI_OPERATION_NAME] = operation
        return [
            span
            for span in self._exporter.get_finished_spans()
            if all(said(span, name) == value for name, value in names.items())
        ]

    def one(self, operation: str | None = None, **wanted: str) -> ReadableSpan:
        """The only such span."""
        found = self.find(operation, **wanted)
        assert len(found) == 1, self.names()
        return found[0]

    def names(self) -> list[str]:
        """The spans' names, in the order of their ends."""
        return [span.name for span in self._exporter.get_finished_spans()]


def said(span: ReadableSpan, name: str) -> Any:
    """An attribute of a span; None if it does not say it."""
    return (span.attributes or {}).get(name)


def is_child(child: ReadableSpan, parent: ReadableSpan) -> bool:
    """Whether one span is the other's direct child."""
    if child.parent is None or parent.context is None:
        return False
    return child.parent.span_id == parent.context.span_id


def for_user(user: str) -> attribution:
    """The block of a task that this user started, in the user's own name."""
    return attribution(
        principal=user, principal_type="human", initiator=user, initiator_type="human", task=f"task-{user}"
    )


def assert_only_of(span: ReadableSpan, user: str) -> None:
    """The span names this user, in everything that names one."""
    assert said(span, attr.ATTRIBUTION_PRINCIPAL_ID) == user
    assert said(span, attr.ATTRIBUTION_INITIATOR_ID) == user
    assert said(span, attr.ATTRIBUTION_TASK_ID) == f"task-{user}"
    assert said(span, attr.ATTRIBUTION_DELEGATION_CHAIN)[0] == user
    assert (said(span, attr.GEN_AI_TOOL_CALL_ID) or user).endswith(user)


def unknown(used: Sequence[frameworks.Instrumentor], lacking: tuple[str, ...]) -> list[str]:
    """What adapters say that is not known to be lacking."""
    problems = [problem for adapter in used for problem in adapter.problems]
    return [each for each in problems if not any(part in each for part in lacking)]


@contextmanager
def installed(
    exporter: InMemorySpanExporter, *adapters: str, policy: str | None = None, lacking: tuple[str, ...] = ()
) -> Generator[Spans]:
    """Install adapters, and ask a policy (Cedar's text), for as long as the block lasts.

    `lacking`: what their versions are known not to have, in parts of what is said of it.
    """
    guard.install(None if policy is None else cedar.CedarGuard.from_text(policy, policy_id="test.cedar"))
    used = [frameworks.load(name) for name in adapters]
    for adapter in used:
        adapter.install()
    exporter.clear()
    try:
        # What a framework's version does not have would be listed, and its calls would go unseen.
        assert unknown(used, lacking) == []
        yield Spans(exporter)
        assert unknown(used, lacking) == []
    finally:
        for adapter in used:
            adapter.uninstrument()
        guard.forget()
