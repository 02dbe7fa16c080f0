"""Observer: watches a stream and says of each frame what is seen in it; the only part of imaging with a memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame
from edge_app.imaging.calipers import find_calipers
from edge_app.imaging.evidence import EvidenceMemory
from edge_app.imaging.freeze import FreezeWatch, Motion
from edge_app.imaging.modes import find_modes
from edge_app.imaging.printed import agree, length_of_longest
from edge_app.imaging.ruler import find_scale
from edge_app.imaging.scene import CaliperPair, Mode, PrintedLength, Scale, Scene, Sector
from edge_app.imaging.sector import find_sector_in
from edge_app.imaging.signal import has_signal
from edge_app.imaging.told import told
from edge_app.imaging.words import ScreenWords
from engines import synthetic_mark


@dataclass(frozen=True, slots=True)
class ObserverRules:
    """How often what is looked for; milliseconds of the stream's own time."""

    sector_every_ms: float = 2000.0  # while the image moves; sooner where the screen around it changes
    settle_pictures: tuple[int, ...] = (1, 3, 8)  # look again when this many pictures have been gathered
    search_pause_ms: float = 60.0  # between two searches in a frozen picture that is being drawn on
    live_search_ms: float = 1000.0  # between two searches in a moving picture
    same_place: float = 0.93  # overlap of two sectors that are one
    misses: int = 3  # searches without a sector before the known one is given up
    layout_share: float = 0.01  # of the screen around the image: more changes than a clock
    vanished_share: float = 0.05  # of the image that turns black at once
    modes_every_ms: float = 1000.0


class SceneObserver:
    """Observes one stream, frame by frame.

    Parameters
    ----------
    still : bool
        Every frame is a still of its own (a folder, a DICOM image): nothing is carried over, all are frozen.
    rules : ObserverRules or None
        How often to look.
    """

    def __init__(self, still: bool = False, rules: ObserverRules | None = None) -> None:
        self._still = still
        self._rules = rules or ObserverRules()
        self.timings_ms: dict[str, float] = {}
        """Milliseconds of the last call by stage: signal, sector, freeze, calipers, words, ruler, modes."""
        self._reset()

    def _reset(self) -> None:
        self._memory = EvidenceMemory()
        self._watch = FreezeWatch()
        self._size: tuple[int, int] | None = None
        self._sector: Sector | None = None
        self._sector_ms = -np.inf
        self._misses = 0
        self._doubted = False
        self._scale: Scale | None = None
        self._scale_due = True
        self._pairs: tuple[CaliperPair, ...] = ()
        self._search_ms = -np.inf
        self._search_due = True
        self._frozen = False
        self._words = ScreenWords()
        self._depths: frozenset[float] = frozenset()
        self._printed: PrintedLength | None = None
        self._modes: frozenset[Mode] = frozenset()
        self._modes_ms = -np.inf

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
            self._look_for_sector(frame)
        with self._timed("freeze"):
            self._follow(frame)
        with self._timed("calipers"):
            self._look_for_calipers(frame)
        with self._timed("words"):
            self._read_words(frame)
        with self._timed("ruler"):
            self._look_for_scale(frame)
        with self._timed("modes"):
            self._look_for_modes(frame)
        return self._scene(frame, signal=True)

    def _scene(self, frame: Frame, *, signal: bool) -> Scene:
        height, width = frame.pixels.shape[:2]
        return Scene(
            frame_index=frame.index,
            t_ms=frame.t_ms,
            size=(width, height),
            signal=signal,
            frozen=signal and self._frozen,
            synthetic=synthetic_mark.present(frame.pixels),
            sector=self._sector,
            calipers=self._pairs,
            scale=self._scale if self._scale is not None else self._printed_scale(),
            modes=self._modes | told(self._words.lines).modes,
            printed=self._printed,
            maker=told(self._words.lines).maker,
        )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self.timings_ms[stage] = (perf_counter() - start) * 1e3

    def _look_for_sector(self, frame: Frame) -> None:
        taken = self._memory.add(frame.pixels, frame.t_ms)
        if not taken:
            return
        changed = self._memory.changed_around(self._sector) > self._rules.layout_share
        changed = changed or self._memory.vanished(self._sector) > self._rules.vanished_share
        if changed and len(self._memory) > 1:
            self._memory.keep_newest()
            self._doubted = True
        due = self._sector is None or changed or self._doubted
        due = due or (not self._frozen and frame.t_ms - self._sector_ms >= self._rules.sector_every_ms)
        if due or (not self._frozen and len(self._memory) in self._rules.settle_pictures and not self._memory.full):
            self._sector_ms = frame.t_ms
            height, width = frame.pixels.shape[:2]
            self._weigh(find_sector_in(self._memory.evidence(), (width, height), frame.regions))

    def _weigh(self, found: Sector | None) -> None:
        """Adopt a found sector, keep the known one, or wait for a second opinion."""
        known = self._sector
        if found is None:
            self._misses += 1
            if self._misses >= self._rules.misses:
                self._adopt(None)
            return
        self._misses = 0
        if known is None:
            self._adopt(found)
        elif overlap(known.mask, found.mask) >= self._rules.same_place:
            if not self._doubted and found.confidence > known.confidence + 0.03:
                self._adopt(found)
            self._doubted = False
        elif self._doubted:
            self._adopt(found)
        else:
            self._memory.keep_newest()
            self._doubted = True

    def _adopt(self, sector: Sector | None) -> None:
        self._sector = sector
        self._doubted = False
        self._scale_due = self._search_due = True
        if sector is None:
            self._scale = None

    def _follow(self, frame: Frame) -> None:
        motion = self._watch.observe(frame.pixels, frame.t_ms, self._sector)
        frozen = self._still or motion.frozen
        if frozen and not self._frozen:
            self._search_due = self._scale_due = True
            self._modes_ms = -np.inf
            self._words.stir(frame.t_ms)
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
        before = self._pairs
        self._pairs = () if self._sector is None else find_calipers(frame.pixels, self._sector)
        if self._pairs != before:
            self._words.stir(frame.t_ms)

    def _look_for_scale(self, frame: Frame) -> None:
        if not self._scale_due:
            return
        self._scale_due = False
        self._scale = find_scale(frame.pixels, self._sector, frame.regions, self._depths)

    def _read_words(self, frame: Frame) -> None:
        """Read a little of the screen; of a still only where something was measured, for that takes long."""
        if self._sector is None:
            return
        if self._still and self._pairs:
            self._words.read_still(frame.pixels, self._sector)
        elif not self._still:
            self._words.follow(frame.pixels, frame.t_ms, self._sector, frozen=self._frozen)
        depths = told(self._words.lines).depths_cm
        self._scale_due |= self._scale is None and depths != self._depths
        self._depths = depths

    def _look_for_modes(self, frame: Frame) -> None:
        """Look what else than one grey image is shown, and what the words say of the scale that is known now."""
        self._printed = self._printed_length()
        if self._still or frame.t_ms - self._modes_ms >= self._rules.modes_every_ms:
            self._modes_ms = frame.t_ms
            low_power = told(self._words.lines).low_power
            self._modes = find_modes(frame.pixels, self._sector, self._words.boxes, low_power=low_power)

    def _printed_length(self) -> PrintedLength | None:
        """Return the printed length of the longest pair; what contradicts the scale counts once all words are read."""
        printed = length_of_longest(told(self._words.lines).lengths, self._pairs, self._scale)
        if printed is None or self._scale is None or not self._words.waiting:
            return printed
        agrees = agree(printed.length_cm, self._pairs[0].length_px / self._scale.px_per_cm)
        return printed if agrees else None

    def _printed_scale(self) -> Scale | None:
        """Return the scale that the printed length of the longest pair gives, where nothing else gives one."""
        if self._printed is None or not self._pairs:
            return None
        return Scale(self._pairs[0].length_px / self._printed.length_cm, "printed", round(self._printed.confidence, 3))


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return intersection over union of two bool masks of one shape, from every fourth pixel."""
    a, b = one[::4, ::4], other[::4, ::4]
    union = int((a | b).sum())
    return float((a & b).sum()) / union if union else 1.0
