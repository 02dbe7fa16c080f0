"""What long work reports: the stage, how much is done, how much there is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]  # stage, done, total; may raise to cancel at this boundary


def silent(stage: str, done: int, total: int) -> None:
    """Report to nobody."""
