"""Observer: watches a stream and says of each frame what is seen in it; the only part of imaging with a memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from edge_app.capture.base import Frame
from edge_app.imaging.calipers import find_calipers
from edge_app.imaging.freeze import FreezeWatch, Motion
from edge_app.imaging.images import ImageFinder, ImageRules
from edge_app.imaging.images import overlap as overlap
from edge_app.imaging.nudge import Nudge
from edge_app.imaging.presets import Presets
from edge_app.imaging.ruler import find_scale
from edge_app.imaging.scene import CaliperPair, Mode, Point, Scale, Scene, Sector
from edge_app.imaging.signal import has_signal
from engines import synthetic_mark


@dataclass(frozen=True, slots=True)
class ObserverRules:
    """How often what is looked for; milliseconds of the stream's own time."""

    images: ImageRules = field(default_factory=ImageRules)
    search_pause_ms: float = 60.0  # between two searches in a frozen picture that is being drawn on
    live_search_ms: float = 1000.0  # between two searches in a moving picture


class SceneObserver:
    """Observes one stream, frame by frame.

    Parameters
    ----------
    still : bool
        Every frame is a still of its own (a folder, a DICOM image): nothing is carried over, all are frozen.
    rules : ObserverRules or None
        How often to look.
    presets : Presets or None
        What the operator set right on known layouts; None: nothing, and nothing is kept.
    """

    def __init__(self, still: bool = False, rules: ObserverRules | None = None, presets: Presets | None = None) -> None:
        self._still = still
        self._rules = rules or ObserverRules()
        self._images = ImageFinder(still, self._rules.images, presets)
        self.timings_ms: dict[str, float] = {}
        """Milliseconds of the last call by stage: signal, sector, freeze, calipers, ruler."""
        self._reset()

    def _reset(self) -> None:
        self._images.forget()
        self._watch = FreezeWatch()
        self._size: tuple[int, int] | None = None
        self._scale: Scale | None = None
        self._scale_due = True
        self._pairs: tuple[CaliperPair, ...] = ()
        self._search_ms = -np.inf
        self._search_due = True
        self._frozen = False

    @property
    def _sector(self) -> Sector | None:
        return self._images.sector

    def choose(self, point: Point) -> None:
        """Take the image at ``point``, frame pixels, for the one that is meant where there are two."""
        self._images.choose(point)
        self._look_anew()

    def move(self, by: Nudge | None) -> None:
        """Move the image's border by so much more, and keep that for this layout; None: as it is found."""
        self._images.move(by)
        self._look_anew()

    def observe(self, frame: Frame) -> Scene:
        """Return what is seen in the next frame of the stream."""
        self.timings_ms = {}
        height, width = frame.pixels.shape[:2]
        with self._timed("signal"):
            signal = has_signal(frame.pixels)
        if self._still or not signal or self._size != (width, height):
            self._reset()
            self._size = (width, height)
        if not signal:
            return self._scene(frame, signal=False)
        with self._timed("sector"):
            self._look_for_images(frame)
        with self._timed("freeze"):
            self._follow(frame)
        with self._timed("calipers"):
            self._look_for_calipers(frame)
        with self._timed("ruler"):
            self._look_for_scale(frame)
        return self._scene(frame, signal=True)

    def _scene(self, frame: Frame, *, signal: bool) -> Scene:
        height, width = frame.pixels.shape[:2]
        modes: set[Mode] = {"dual"} if self._images.undecided else set()
        return Scene(
            frame_index=frame.index,
            t_ms=frame.t_ms,
            size=(width, height),
            signal=signal,
            frozen=signal and self._frozen,
            synthetic=synthetic_mark.present(frame.pixels),
            sector=self._sector,
            calipers=self._pairs,
            scale=self._scale,
            images=self._images.images,
            modes=frozenset(modes),
            layout=self._images.layout,
            by_hand=self._images.by_hand,
            notice=self._images.notice,
        )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self.timings_ms[stage] = (perf_counter() - start) * 1e3

    def _look_for_images(self, frame: Frame) -> None:
        if self._images.look(frame, self._frozen):
            self._look_anew()

    def _look_anew(self) -> None:
        """Look for everything else again: the image's place is another."""
        self._scale_due = self._search_due = True
        if self._sector is None:
            self._scale = None

    def _follow(self, frame: Frame) -> None:
        motion = self._watch.observe(frame.pixels, frame.t_ms, self._sector)
        frozen = self._still or motion.frozen
        if frozen and not self._frozen:
            self._search_due = self._scale_due = True
        elif self._frozen and not frozen:
            self._pairs = ()
            self._search_ms = frame.t_ms
        self._frozen = frozen
        self._note_drawing(motion)

    def _note_drawing(self, motion: Motion) -> None:
        if self._frozen and motion.drawn:
            self._search_due = True

    def _look_for_calipers(self, frame: Frame) -> None:
        since = frame.t_ms - self._search_ms
        if self._frozen:
            due = self._search_due and (self._still or since >= self._rules.search_pause_ms)
        else:
            due = since >= self._rules.live_search_ms
        if not due:
            return
        self._search_ms, self._search_due = frame.t_ms, False
        self._pairs = () if self._sector is None else find_calipers(frame.pixels, self._sector)

    def _look_for_scale(self, frame: Frame) -> None:
        if not self._scale_due:
            return
        self._scale_due = False
        self._scale = find_scale(frame.pixels, self._sector, frame.regions)
