"""The attribution questions: each a function of the store with a typed answer."""

from whodid.store.questions.lookup import AmbiguousIdError, UnknownIdError
from whodid.store.questions.trace import trace
from whodid.store.questions.who import who

__all__ = ["AmbiguousIdError", "UnknownIdError", "trace", "who"]
