"""Slices: work that is done a few milliseconds at a time, between the frames of a stream."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

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
