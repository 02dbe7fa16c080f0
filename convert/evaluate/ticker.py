"""Ticker: turns single steps into a stage of progress."""

from __future__ import annotations

from convert.progress import Progress


class Ticker:
    """Counts the steps of one stage and reports each; the reporter may raise to cancel."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self._progress = progress
        self._stage = stage
        self._total = total
        self._done = 0

    def __call__(self) -> None:
        """Report one more step."""
        self.skip(1)

    def skip(self, steps: int) -> None:
        """Report several steps at once."""
        self._done += steps
        self._progress(self._stage, self._done, self._total)
