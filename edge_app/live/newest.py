"""A slot between two threads that keeps the newest value only: display never queues."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """One value at most; a newer one replaces it, taking empties it. Safe from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._value: T | None = None
        self.replaced = 0
        """How many values a newer one took the place of, unseen."""

    def put(self, value: T) -> None:
        """Leave a value, in place of one that nobody took."""
        with self._changed:
            self.replaced += self._value is not None
            self._value = value
            self._changed.notify()

    def take(self, timeout_s: float) -> T | None:
        """Return the value and empty the slot; None if none came in time."""
        with self._changed:
            if self._value is None and timeout_s > 0:
                self._changed.wait(timeout_s)
            value, self._value = self._value, None
            return value
