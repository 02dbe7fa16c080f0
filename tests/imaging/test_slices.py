"""Work in slices: the old result stands until the new one is there, and other work takes its place at once."""

from __future__ import annotations

from collections.abc import Generator

from edge_app.imaging.slices import Task, finish


def counting(upto: int) -> Generator[None, None, int]:
    for _ in range(upto):
        yield
    return upto


def test_a_result_stands_until_the_next_one_is_done() -> None:
    task = Task(0)
    task.begin(counting(3))
    for _ in range(3):
        task.go_on()
        assert task.busy and task.result == 0
    task.go_on()
    assert not task.busy and task.result == 3
    task.go_on()
    assert task.result == 3


def test_several_slices_at_once_and_all_that_is_left() -> None:
    task = Task(0)
    task.begin(counting(5))
    task.go_on(4)
    assert task.busy
    task.begin(counting(2))  # in place of the first
    task.go_on(whole=True)
    assert task.result == 2 == finish(counting(2))
    task.begin(counting(9))
    task.begin(None)
    task.go_on()
    assert not task.busy and task.result == 2
