"""Following: the operator's poles from the picture in which they were placed to the newest one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager

from edge_app.capture.base import Frame
from edge_app.imaging.scene import Scene, Sector
from edge_app.imaging.tracking import PoleTracker, Tracked
from edge_app.live import gate
from edge_app.live.messages import Poles

RECENT = 6  # pictures: a hand and a screen are about so far behind, and the kidney breathes on meanwhile


class Following:
    """Holds the poles, their tracker and the last pictures; ``stills``: every picture is one of its own."""

    def __init__(self, stills: bool) -> None:
        self._stills = stills
        self._tracker: PoleTracker | None = None
        self._recent: deque[tuple[Frame, Scene]] = deque(maxlen=RECENT)
        self.poles: Poles | None = None
        """As they were placed; None: there are none."""

    def place(self, poles: Poles | None) -> None:
        """Follow these poles from now on, or none."""
        self.poles, self._tracker = poles, None

    def see(self, frame: Frame, scene: Scene) -> None:
        """Take in the next picture."""
        if not self._stills:
            self._recent.append((frame, scene))

    def follow(
        self, sector: Sector, timed: Callable[[str], AbstractContextManager[None]]
    ) -> tuple[Poles | None, Tracked | None]:
        """Return where the poles are in the newest picture, and how they were followed there.

        Poles that are not on the image are not followed, and those that are lost stay where they were last.
        ``timed`` measures a stage by its name.
        """
        poles = self.poles
        if poles is None or self._stills:
            return poles, None
        frame, scene = self._recent[-1]
        if self._tracker is None:
            ends = (poles.x1, poles.y1), (poles.x2, poles.y2)
            if not all(gate.inside(sector, end) for end in ends):
                return poles, None  # which the gate refuses
            self._tracker = PoleTracker(*ends)
            with timed("catch_up"):
                self._catch_up(self._tracker, poles.frame)
        with timed("track"):
            tracked = self._tracker.follow(frame.pixels, sector, scene.frozen)
        (x1, y1), (x2, y2) = tracked.first, tracked.second
        return Poles(x1=x1, y1=y1, x2=x2, y2=y2, proposed=poles.proposed), tracked

    def _catch_up(self, tracker: PoleTracker, placed: int | None) -> None:
        """Follow from the picture nearest to that in which the poles were placed, up to the one before this."""
        indices = [frame.index for frame, _ in self._recent]
        if placed is None or placed < indices[0]:  # of long ago, or of a worker that has died since
            return
        start = min(range(len(indices)), key=lambda at: (abs(indices[at] - placed), -at))
        for frame, scene in list(self._recent)[start:-1]:
            if scene.sector is not None and frame.pixels.shape == self._recent[-1][0].pixels.shape:
                tracker.follow(frame.pixels, scene.sector, scene.frozen)
