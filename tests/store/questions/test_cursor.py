"""A cursor comes back as it was made, and nothing else passes for one."""

from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whodid.store.questions.cursor import CursorError, decode, encode

PARTS = st.lists(st.text(max_size=20) | st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=4)


def raw(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@given(PARTS)
def test_what_was_encoded_is_decoded(parts: list[str | int]) -> None:
    text = encode(*parts)
    assert re.fullmatch(r"[A-Za-z0-9_-]+", text)
    assert decode(text, [type(part) for part in parts]) == tuple(parts)


@given(st.text(max_size=60))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        decode(text, (int, str))


@pytest.mark.parametrize(
    "value",
    [
        [1],
        [1, "a", 2],
        ["1", "a"],
        [True, "a"],
        [1.0, "a"],
        [2**63, "a"],
        [1, None],
        [1, ["a"]],
        [1, "\ud800"],
        {"0": 1, "1": "a"},
        "1a",
        None,
    ],
    ids=str,
)
def test_a_key_of_other_kinds_is_refused(value: object) -> None:
    with pytest.raises(CursorError):
        decode(raw(value), (int, str))


def test_nesting_as_deep_as_a_cursor_allows_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(CursorError):
        decode(deep, (int, str))
