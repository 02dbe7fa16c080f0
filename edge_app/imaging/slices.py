"""Slices: work that is done a few milliseconds at a time, between the frames of a stream."""

from __future__ import annotations

from collections.abc import Generator
from typing import Generic, TypeVar

T = TypeVar("T")
Sliced = Generator[None, None, T]
"""Work that yields after each slice, and returns its result."""


def finish(work: Sliced[T]) -> T:
    """Do the work in one go and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]


class Task(Generic[T]):
    """One piece of work at a time, and the result of the last one that was done."""

    def __init__(self, result: T) -> None:
        self.result = result
        self._work: Sliced[T] | None = None

    @property
    def busy(self) -> bool:
        """Whether a piece of work is going on."""
        return self._work is not None

    def begin(self, work: Sliced[T] | None) -> None:
        """Begin other work, in place of what is going on; None: do nothing more."""
        self._work = work

    def go_on(self, slices: int = 1, *, whole: bool = False) -> None:
        """Do so many slices, or all that is left."""
        try:
            while self._work is not None and (whole or slices > 0):
                next(self._work)
                slices -= 1
        except StopIteration as done:
            self.result, self._work = done.value, None
