"""The attribution questions: each in a module of its own, with typed parameters and a typed answer."""

from whodid.store.questions import actions as _actions
from whodid.store.questions import approvals as _approvals
from whodid.store.questions import autonomy as _autonomy
from whodid.store.questions import before as _before
from whodid.store.questions import blast_radius as _blast_radius
from whodid.store.questions import cache_crossings as _cache_crossings
from whodid.store.questions import chain as _chain
from whodid.store.questions import confused_deputy as _confused_deputy
from whodid.store.questions import coverage as _coverage
from whodid.store.questions import credential as _credential
from whodid.store.questions import decisions as _decisions
from whodid.store.questions import findings as _findings
from whodid.store.questions import first_seen as _first_seen
from whodid.store.questions import identity_conflicts as _identity_conflicts
from whodid.store.questions import new_credential_on_retry as _new_credential_on_retry
from whodid.store.questions import overview as _overview
from whodid.store.questions import replay as _replay
from whodid.store.questions import span as _span
from whodid.store.questions import tool_changed as _tool_changed
from whodid.store.questions import trace as _trace
from whodid.store.questions import traces as _traces
from whodid.store.questions import unattributed as _unattributed
from whodid.store.questions import who as _who
from whodid.store.questions.cursor import CursorError
from whodid.store.questions.lookup import AmbiguousIdError, UnknownIdError
from whodid.store.questions.question import AnyQuestion, Question

QUESTIONS: dict[str, AnyQuestion] = {
    question.name: question
    for question in (
        _who.QUESTION,
        _trace.QUESTION,
        _traces.QUESTION,
        _chain.QUESTION,
        _credential.QUESTION,
        _blast_radius.QUESTION,
        _identity_conflicts.QUESTION,
        _new_credential_on_retry.QUESTION,
        _confused_deputy.QUESTION,
        _unattributed.QUESTION,
        _cache_crossings.QUESTION,
        _autonomy.QUESTION,
        _tool_changed.QUESTION,
        _overview.QUESTION,
        _coverage.QUESTION,
        _before.QUESTION,
        _decisions.QUESTION,
        _replay.QUESTION,
        _actions.QUESTION,
        _findings.QUESTION,
        _approvals.QUESTION,
        _first_seen.QUESTION,
        _span.QUESTION,
    )
}
"""By name. To add one: a module here, its SQL in `sql/`, its page in `docs/questions/`, its test."""

__all__ = ["QUESTIONS", "AmbiguousIdError", "AnyQuestion", "CursorError", "Question", "UnknownIdError"]
