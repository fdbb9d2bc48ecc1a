"""The one kind of error that a user sees: what is wrong, and what to do about it."""

from __future__ import annotations


class WhodidError(Exception):
    """Something the user can mend. `cause` is one line; `hint` says how, with the command where there is one.

    The command line prints both and exits with 1; the receivers put `cause` in their answer.
    """

    def __init__(self, cause: str, hint: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.hint = hint
