"""Things are made a few ahead, in order, and no further."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from mfv2a.jobs.ahead import Ahead, known_soon


def test_all_come_in_order_and_then_no_more() -> None:
    ahead = Ahead(iter(range(100)), 3)
    assert list(ahead) == list(range(100))
    assert next(ahead, None) is None


def test_no_more_are_made_than_may_wait() -> None:
    made: list[int] = []
    full = threading.Event()

    def source() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 3:
                full.set()
            yield number

    ahead = Ahead(source(), 3)
    assert full.wait(10)
    assert made == [0, 1, 2, 3]  # three wait, and one is in hand
    assert [next(ahead) for _ in range(20)] == list(range(20))
    assert len(made) <= 20 + 4
    ahead.close()


def test_an_error_is_raised_where_it_would_be_taken() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise ValueError("two")

    ahead = Ahead(source(), 3)
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="two"):
        next(ahead)
    assert next(ahead, None) is None


def test_what_nobody_wants_is_not_made() -> None:
    ended = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(1_000_000)
        finally:
            ended.set()

    ahead = Ahead(source(), 1)
    next(ahead)
    ahead.close()
    assert ended.wait(10)


def test_what_is_not_there_yet_is_something_to_wait_for() -> None:
    goes_on = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        assert goes_on.wait(10)
        yield 2

    coming = Ahead(source(), 3).as_they_come()
    assert known_soon(coming, 1) == ([1], False)
    awaited = next(coming)
    assert isinstance(awaited, Future)
    assert next(coming) is awaited
    assert known_soon(coming, 2, 0.05) == ([], False)
    assert not awaited.done()
    goes_on.set()
    assert awaited.result(10) is None
    assert known_soon(coming, 5) == ([2], True)
    assert next(coming, None) is None


def test_an_error_ends_the_waiting_and_is_raised() -> None:
    goes_on = threading.Event()

    def source() -> Iterator[int]:
        assert goes_on.wait(10)
        raise ValueError("one")
        yield

    coming = Ahead(source(), 3).as_they_come()
    assert isinstance(next(coming), Future)
    goes_on.set()
    with pytest.raises(ValueError, match="one"):
        known_soon(coming, 1)
