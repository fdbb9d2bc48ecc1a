"""Requests in parts: each in one part, in their order, and no part much larger than it may be."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from whodid.processor.bodies import Bodies, parts

PART_BYTES = 100

requests = st.lists(st.binary(max_size=250), max_size=30)


@given(requests)
def test_the_parts_hold_every_request_once_and_in_order(given_requests: list[bytes]) -> None:
    found = list(parts(given_requests, PART_BYTES))
    assert [request for part in found for request in part] == given_requests
    assert len(found) == 1 or all(len(part) for part in found)


@given(requests)
def test_a_part_is_too_large_by_its_last_request_at_most(given_requests: list[bytes]) -> None:
    for part in parts(given_requests, PART_BYTES):
        sizes = [len(request) for request in part]
        assert sum(sizes[:-1]) <= PART_BYTES


def test_no_requests_are_one_empty_part() -> None:
    assert [len(part) for part in parts([], PART_BYTES)] == [0]


def test_parts_of_one_buffer_are_looked_at_where_they_are() -> None:
    whole = Bodies.of([b"a" * 80, b"b" * 80, b"c" * 80])
    assert all(part.data is whole.data for part in parts(whole, PART_BYTES))
