"""What the takes of a video share is made once, and nothing of it stays when the last has taken it."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mfv2a.errors import MediaError
from mfv2a.jobs.shared import Shared
from mfv2a.media.patience import OverdueError, Patience, patient


def takes(name: str, number: int) -> list[Any]:
    return [SimpleNamespace(source=Path(name)) for _ in range(number)]


def entries(shared: Shared[Any]) -> int:
    return sum(len(each) for each in vars(shared).values() if isinstance(each, dict))


def test_it_is_made_once_for_each_video_and_forgotten_with_the_last() -> None:
    shared: Shared[object] = Shared()
    for name in ("a", "b", "a"):
        items = takes(name, 3)
        shared.expect(items)
        first = shared.take(items[0], object)
        assert shared.take(items[1], object) is first
        assert entries(shared) == 3
        assert shared.take(items[2], object) is first
        assert entries(shared) == 0
    (alone,) = takes("c", 1)
    shared.expect([alone])
    assert shared.take(alone, object) is not None
    assert entries(shared) == 0


def test_what_cannot_be_made_is_tried_by_each_and_forgotten() -> None:
    items = takes("a", 3)
    shared: Shared[int] = Shared(items)

    def broken() -> int:
        raise MediaError("a", "is damaged")

    with pytest.raises(MediaError):
        shared.take(items[0], broken)
    assert shared.take(items[1], lambda: 1) == 1
    assert shared.take(items[2], broken) == 1
    items = takes("a", 2)
    shared.expect(items)
    for item in items:
        with pytest.raises(MediaError):
            shared.take(item, broken)
    assert entries(shared) == 0


def test_a_take_whose_turn_never_comes_is_counted_too() -> None:
    items = takes("a", 2)
    shared: Shared[int] = Shared(items)
    began, go_on = threading.Event(), threading.Event()

    def slow() -> int:
        began.set()
        go_on.wait(20)
        return 1

    maker = threading.Thread(target=lambda: shared.take(items[0], slow), daemon=True)
    maker.start()
    assert began.wait(20)
    late = Patience(1e-9)
    late.begin()
    with pytest.raises(OverdueError), patient(late):
        shared.take(items[1], lambda: 2)
    go_on.set()
    maker.join(20)
    assert entries(shared) == 0
