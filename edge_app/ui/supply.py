"""What the window needs of the supervisor: the seam at which tests put their own."""

from __future__ import annotations

from typing import Protocol

from edge_app.live.link import FrameView
from edge_app.live.messages import Command, Message


class FrameSupply(Protocol):
    """Gives pictures; never blocks."""

    def newest_frame(self) -> FrameView | None:
        """Return the newest picture, or None while there is none."""
        ...

    def frame(self, index: int) -> FrameView | None:
        """Return the picture with this index while it is still there."""
        ...


class Worker(FrameSupply, Protocol):
    """The supervisor as the window sees it; called on the window's thread alone."""

    def start(self) -> None:
        """Start the scanner worker."""
        ...

    def poll(self) -> list[Message]:
        """Return what came since the last call, oldest first."""
        ...

    def send(self, command: Command) -> int:
        """Send a command; return the generation that it starts."""
        ...

    def close(self, timeout_s: float = 2.0) -> None:
        """End the worker; leaves no process, thread or shared memory."""
        ...
