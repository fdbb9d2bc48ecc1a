"""The dashboards: which panels each has, in which order. What a panel tells is in its query's comment."""

from __future__ import annotations

from whodid.dashboards.grafana.board import HOUR, Board
from whodid.dashboards.grafana.queries import Databases

MINUTE = "1m"


def overview(databases: Databases) -> Board:
    """What agents did, and what somebody should look at."""
    about = "What agents did, under which decisions, and what somebody should look at."
    return (
        Board("overview", "whodid: overview", about, databases, since="24h")
        .stat("totals", "Actions", width=12)
        .stat("attention", "Look at these", width=12, none_is_good=True)
        .timeline("by_agent", "Actions by agent", bars=HOUR, width=8)
        .timeline("by_mode", "Actions by mode", bars=HOUR, width=8)
        .timeline("by_decision", "Actions by decision", bars=HOUR, width=8)
        .table("unattributed", "For whom was this?", question="unattributed")
        .table("agents", "Agents", width=14, question="overview")
        .table("new", "Not seen before", width=10)
    )


def agent(databases: Databases) -> Board:
    """One agent, or several."""
    about = "What an agent did, for whom, with what, and what is wrong with what it says."
    return (
        Board("agent", "whodid: agent", about, databases, since="24h")
        .about("agent")
        .stat("totals", "Actions")
        .timeline("by_tool", "Actions by tool", bars=HOUR)
        .timeline("by_mode", "Actions by mode", bars=HOUR)
        .table("actions", "Last actions")
        .table("copies", "Running copies")
        .table("principals", "On whose behalf", width=12)
        .table("credentials", "With which credentials", width=12)
        .table("resources", "What it reached")
        .table("findings", "What is wrong with its spans")
    )


def credential(databases: Databases) -> Board:
    """One credential, or several."""
    about = "Where a credential was used, by whom, and whether that was an agent of ours."
    return (
        Board("credential", "whodid: credential", about, databases, since="6h")
        .about("credential")
        .stat("totals", "Uses")
        .timeline("uses", "Uses over time", bars=MINUTE, width=24)
        .table("unenrolled", "Used by nobody that we know")
        .table("credentials", "Credentials")
        .table("users", "Who used them")
        .table("violations", "Outside of its time or task (all credentials)")
    )


def decisions(databases: Databases) -> Board:
    """What policies and people decided, and what the validator found."""
    about = "What policies and people decided, and where spans contradict themselves or each other."
    return (
        Board("decisions", "whodid: decisions and findings", about, databases, since="24h")
        .stat("totals", "Decisions")
        .timeline("outcomes", "Decisions by outcome", bars=MINUTE)
        .timeline("found", "Findings by rule", bars=MINUTE)
        .table("denials", "Denied or held back", question="decisions")
        .table("rules", "Which rule decided")
        .table("approvals", "Approvals")
        .table(
            "mismatches", "Claimed identities that are not the attested ones", question="identity-conflicts"
        )
        .table("findings", "Findings")
    )


def processor(databases: Databases) -> Board:
    """Whether the processor keeps up."""
    about = (
        "Whether the processor keeps up. The upper row is from the store, about the chosen tenant; the "
        "others are the processors' own metrics (docs/telemetry.md) of all tenants, as an OpenTelemetry "
        f"Collector writes them into the database {databases.metrics}; without one they stay empty."
    )
    return (
        Board("processor", "whodid: processor health", about, databases, since="3h")
        .stat("newest", "In the store", width=8, units={"seconds_since_newest": "s"})
        .timeline("spans", "Spans by service", bars=MINUTE, width=16)
        .timeline("age", "Waiting for the store", unit="s")
        .timeline("spool", "On disk for the store", unit="bytes")
        .timeline("stored", "Stored", unit="cps")
        .timeline("latency", "How long 19 of 20 segments took", unit="s")
        .timeline("requests", "Requests", unit="reqps")
        .timeline("away", "Store away")
        .table("refused", "Refused requests")
    )


ALL = (overview, agent, credential, decisions, processor)
