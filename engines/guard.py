"""What a session holds between enter and exit: for the thread that entered it, and for no other."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from engines.errors import InferenceError

Content = TypeVar("Content")


class Held(Generic[Content]):
    """Gives what a session holds to the thread that entered it; each misuse of the session is one sentence."""

    def __init__(self) -> None:
        self._content: Content | None = None
        self._thread: int | None = None

    @property
    def seen(self) -> Content | None:
        """What is held, for any thread to look at; None: the session is not entered."""
        return self._content

    def refuse_twice(self) -> None:
        """Raise ``InferenceError`` where the session is entered already."""
        if self._content is not None:
            raise misuse("it is already entered", "enter it once")

    def take(self, content: Content) -> Content:
        """Hold this from now on, for the thread that calls, and return it."""
        self._content, self._thread = content, threading.get_ident()
        return content

    def get(self) -> Content:
        """Return what is held.

        Raises
        ------
        InferenceError
            The session is not entered, or another thread entered it.
        """
        if self._content is None:
            raise misuse("it is not entered", "use it inside its with block")
        if self._thread != threading.get_ident():
            raise misuse("it belongs to the thread that entered it", "infer and exit on that thread")
        return self._content

    def drop(self) -> None:
        """Hold nothing any more."""
        self._content = None


def misuse(because: str, cure: str) -> InferenceError:
    """Return what is said to a caller that uses a session in a way that it does not have."""
    return InferenceError("The session cannot be used", because, cure)
