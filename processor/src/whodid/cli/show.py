"""How answers look on a terminal: tables and trees, in which a span's text can do nothing but be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from whodid.semconv.values import EvidenceLevel
from whodid.store.flat import visible

if TYPE_CHECKING:
    from whodid.store.records import Answer, TraceLine, TraceRecord, WhoRecord

STYLES = {
    EvidenceLevel.VERIFIED: "green",
    EvidenceLevel.PROPAGATED: "cyan",
    EvidenceLevel.SELF_ASSERTED: "yellow",
    EvidenceLevel.MISSING: "red",
}
_MISSING = "—"


def plain(text: str) -> str:
    """The text with everything that could steer a terminal or turn the writing round made visible."""
    return visible(text)


def record(answer: WhoRecord) -> None:
    """Prints an action's record to standard output."""
    console = Console(highlight=False, soft_wrap=True)
    tool = _value(answer.tool.name)
    console.print(
        Text.assemble(
            (plain(tool), "bold"),
            "  ",
            (answer.outcome.status.upper(), _outcome_style(answer.outcome.status)),
        )
    )
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_column()
    for name, value, level in _rows(answer):
        table.add_row(name, Text(plain(value)), Text(level.value, style=STYLES[level]))
    console.print(table)
    for title, lines in (
        ("gaps", answer.gaps),
        (
            "findings",
            [f"{each.severity} {each.rule} on span {each.span}: {each.message}" for each in answer.findings],
        ),
    ):
        if lines:
            console.print(Text(title, style="bold"))
            for line in lines:
                console.print(Text(f"  {plain(line)}"))
    console.print(Text(f"trace {', '.join(answer.trace_ids)}", style="dim"))


def _rows(answer: WhoRecord) -> list[tuple[str, str, EvidenceLevel]]:
    decision, approval, credential = answer.decision, answer.approval, answer.credential
    rows = [
        _row("who acted", answer.actor.name),
        _row("  instance", answer.actor.instance),
        _row("  identity", answer.actor.identity),
        _row("for whom", answer.principal.id, answer.principal.type),
        _row("started by", answer.initiator.id, answer.initiator.type),
        _row("chain", answer.delegation_chain),
        _row("task", answer.task.id),
        _row("mode", answer.mode),
        _row("who allowed it", decision.outcome, decision.enforcement, decision.rule),
        _row("  reason", decision.reason),
        _row("  policy", decision.policy, decision.policy_version, decision.engine),
        _row("  approval", approval.status, approval.approver),
        _row("credential", credential.id, credential.type, credential.scopes),
        _row("  valid until", credential.not_after),
        _row("tool call", answer.tool.call_id),
        _row("  arguments", answer.tool.arguments_hash),
        _row("resource", answer.resource.id, answer.resource.type),
        _row("correlation", answer.correlation_id),
    ]
    outcome = answer.outcome
    happened = " ".join(filter(None, (outcome.status, outcome.error_type, outcome.started_at)))
    return [*rows, ("outcome", happened, outcome.evidence)]


def _row(name: str, answer: Answer, *more: Answer) -> tuple[str, str, EvidenceLevel]:
    details = [_value(each) for each in more if each.value is not None]
    value = _value(answer) + (f"  ({', '.join(details)})" if details else "")
    return name, value, answer.evidence


def _value(answer: Answer) -> str:
    if answer.value is None:
        return _MISSING
    return " → ".join(answer.value) if isinstance(answer.value, list) else answer.value


def _outcome_style(status: str) -> str:
    return {"succeeded": "green", "denied": "red", "failed": "red"}.get(status, "yellow")


def trace(answer: TraceRecord) -> None:
    """Prints a trace's tree to standard output."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"trace {answer.trace_id}", style="bold"))
    for line in answer.lines:
        console.print(_line(line))
    if answer.truncated:
        console.print(Text("… and more spans than an answer holds", style="yellow"))


def _line(line: TraceLine) -> Text:
    text = Text("  " * line.depth)
    if line.parent_missing:
        text.append("(parent missing) ", style="red")
    text.append(plain(line.name), style="bold" if line.operation else "")
    text.append(f"  {plain(line.agent or _MISSING)} for {plain(line.principal or _MISSING)}", style="cyan")
    if line.mode:
        text.append(f"  {plain(line.mode)}", style="magenta")
    if line.decision:
        denied = line.enforcement == "blocked"
        text.append(f"  {plain(line.decision)}", style="red" if denied else "green")
    if line.error_type or line.status == "ERROR":
        text.append(f"  {plain(line.error_type or 'ERROR')}", style="red")
    if line.findings:
        text.append(f"  {line.findings} findings", style="yellow")
    text.append(f"  {line.duration_ms:.1f} ms  {line.span_id}", style="dim")
    return text
