# Generated from semconv/model by `whodid semconv generate`; do not edit.

"""The values of the enum attributes."""

from enum import StrEnum


class ViewRole(StrEnum):
    """By which role the viewer was let in."""

    VIEWER = "viewer"
    INVESTIGATOR = "investigator"
    ADMIN = "admin"


class ViewAuthentication(StrEnum):
    """How the service knew who looked."""

    NONE = "none"
    TOKEN = "token"
    SESSION = "session"
    PROXY = "proxy"


class AgentIdentityType(StrEnum):
    """The kind of the workload identity."""

    SPIFFE = "spiffe"
    OAUTH_CLIENT = "oauth_client"
    CLOUD_ROLE = "cloud_role"
    SERVICE_ACCOUNT = "service_account"


class InitiatorType(StrEnum):
    """The kind of what launched the task."""

    HUMAN = "human"
    WORKFLOW = "workflow"
    AGENT = "agent"
    SCHEDULE = "schedule"
    EVENT = "event"
    SERVICE = "service"


class PrincipalType(StrEnum):
    """The kind of the one whose authority is exercised."""

    HUMAN = "human"
    SERVICE = "service"
    AGENT = "agent"
    ORGANIZATION = "organization"


class ApprovalStatus(StrEnum):
    """What became of the approval."""

    REQUESTED = "requested"
    GRANTED = "granted"
    REFUSED = "refused"
    EXPIRED = "expired"


class PolicyDecisionOutcome(StrEnum):
    """What the policy engine said."""

    ALLOW = "allow"
    DENY = "deny"
    ERROR = "error"


class PolicyEnforcementAction(StrEnum):
    """What was done about the decision, apart from its outcome."""

    ALLOWED = "allowed"
    BLOCKED = "blocked"
    MONITORED = "monitored"


class EvidenceLevel(StrEnum):
    """How far the span's attribution can be trusted."""

    VERIFIED = "verified"
    PROPAGATED = "propagated"
    SELF_ASSERTED = "self_asserted"
    MISSING = "missing"


class FindingRule(StrEnum):
    """The rule that found it."""

    MISSING_REQUIRED = "missing_required"
    MISSING_CONDITIONAL = "missing_conditional"
    MISSING_RECOMMENDED = "missing_recommended"
    TYPE_MISMATCH = "type_mismatch"
    UNDEFINED_VALUE = "undefined_value"
    OPEN_VALUE = "open_value"
    INVALID_FORMAT = "invalid_format"
    INVALID_ID = "invalid_id"
    TIME_OUTSIDE_WINDOW = "time_outside_window"
    BEYOND_LIMIT = "beyond_limit"
    DEPRECATED_NAME = "deprecated_name"
    MISSPELT_NAME = "misspelt_name"
    UNKNOWN_NAME = "unknown_name"
    EVIDENCE_CLAIMED = "evidence_claimed"
    SECRET_REDACTED = "secret_redacted"
    CREDENTIAL_NOT_VALID = "credential_not_valid"
    CREDENTIAL_OF_OTHER_TASK = "credential_of_other_task"
    DECISION_AFTER_ACTION = "decision_after_action"
    DECISION_MISMATCH = "decision_mismatch"
    ACTION_DESPITE_DENIAL = "action_despite_denial"
    APPROVAL_MISMATCH = "approval_mismatch"
    APPROVAL_NOT_IN_TIME = "approval_not_in_time"
    APPROVAL_REUSED = "approval_reused"
    APPROVAL_BY_AGENT = "approval_by_agent"
    CHAIN_BROKEN = "chain_broken"
    MODE_INCONSISTENT = "mode_inconsistent"
    CALL_ID_REUSED = "call_id_reused"
    IDENTITY_MISMATCH = "identity_mismatch"


class FindingSeverity(StrEnum):
    """How bad it is."""

    VIOLATION = "violation"
    IMPROVEMENT = "improvement"
    INFORMATION = "information"


class ActionMode(StrEnum):
    """How much a human had to do with this action."""

    HUMAN_INITIATED = "human_initiated"
    HUMAN_APPROVED = "human_approved"
    AUTONOMOUS_AFTER_APPROVAL = "autonomous_after_approval"
    AUTONOMOUS = "autonomous"


class ActionEffect(StrEnum):
    """What the action does to the world."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    EXECUTE = "execute"
    COMMUNICATE = "communicate"


class ResultSource(StrEnum):
    """Where the action's result came from."""

    LIVE = "live"
    CACHE = "cache"
    REPLAY = "replay"
