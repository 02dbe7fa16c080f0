"""Observer: watches a stream and says of each frame what is seen in it; the only part of imaging with a memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from edge_app.capture.base import Frame
from edge_app.imaging.caliper_watch import CaliperWatch
from edge_app.imaging.calipers import survey
from edge_app.imaging.freeze import FreezeWatch, Motion
from edge_app.imaging.images import ImageFinder, ImageRules
from edge_app.imaging.modes import searching_modes
from edge_app.imaging.nudge import Nudge
from edge_app.imaging.presets import Presets
from edge_app.imaging.printed import agree, length_of_longest
from edge_app.imaging.ruler import searching_scale
from edge_app.imaging.scene import Mode, Point, PrintedLength, Scale, Scene, Sector
from edge_app.imaging.signal import SignalFault, signal_fault
from edge_app.imaging.slices import Task
from edge_app.imaging.tearing import TearWatch
from edge_app.imaging.told import told
from edge_app.imaging.words import ScreenWords
from engines import synthetic_mark

MOST_SLICES = 4


@dataclass(frozen=True, slots=True)
class ObserverRules:
    """How often what is looked for; milliseconds of the stream's own time."""

    images: ImageRules = field(default_factory=ImageRules)
    search_pause_ms: float = 60.0  # between two searches in a frozen picture that is being drawn on
    live_search_ms: float = 1000.0  # between two searches in a moving picture
    modes_every_ms: float = 1000.0
    recheck_ms: float = 200.0  # between two looks at known markers
    slice_ms: float = 30.0  # for so much of the stream's time one slice of the search for scale or modes


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
        """Milliseconds of the last call by stage: signal, tearing, sector, freeze, calipers, words, ruler, modes."""
        self._tears = TearWatch()
        self._reset()

    def _reset(self) -> None:
        self._images.forget()
        self._watch = FreezeWatch()
        self._size: tuple[int, int] | None = None
        self._scale: Task[Scale | None] = Task(None)
        self._scale_due = True
        self._calipers = CaliperWatch()
        self._search_ms = -np.inf
        self._recheck_ms = -np.inf
        self._observed_ms = self._elapsed_ms = 0.0
        self._search_due = True
        self._frozen = False
        self._words = ScreenWords()
        self._depths: frozenset[float] = frozenset()
        self._printed: PrintedLength | None = None
        self._modes: Task[frozenset[Mode]] = Task(frozenset())
        self._modes_ms = -np.inf
        self._modes_known = False
        self._repeated_ms = 0.0

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
            fault = signal_fault(frame.pixels)
        if self._still or fault is not None or self._size != (width, height):
            self._reset()
            self._size = (width, height)
        with self._timed("tearing"):
            torn = not self._still and self._tears.look(frame.pixels, frame.t_ms, self._sector)
        if fault is not None or torn:  # nothing is learned from a frame that is made of two
            return self._scene(frame, fault)
        self._elapsed_ms, self._observed_ms = frame.t_ms - self._observed_ms, frame.t_ms
        with self._timed("sector"):
            self._look_for_images(frame)
        with self._timed("freeze"):
            self._follow(frame)
        with self._timed("calipers"):
            self._look_for_calipers(frame)
        with self._timed("words"):
            self._read_words(frame)
        with self._timed("modes"):
            self._look_for_modes(frame)
        with self._timed("ruler"):
            self._look_for_scale(frame)
        self._printed = self._printed_length()
        return self._scene(frame, None)

    def _scene(self, frame: Frame, fault: SignalFault | None) -> Scene:
        height, width = frame.pixels.shape[:2]
        said = told(self._words.lines)
        asked: frozenset[Mode] = frozenset({"dual"} if self._images.undecided else ())
        return Scene(
            frame_index=frame.index,
            t_ms=frame.t_ms,
            size=(width, height),
            signal=fault is None,
            frozen=fault is None and self._frozen,
            synthetic=synthetic_mark.present(frame.pixels),
            sector=self._sector,
            scale=self._scale.result or self._printed_scale(),
            printed=self._printed,
            signal_fault=fault,
            repeated_ms=self._repeated_ms,
            maker=said.maker,
            images=self._images.images,
            modes=(self._modes.result | said.modes) - {"dual"} | asked,
            layout=self._images.layout,
            tears=self._tears.tears,
            by_hand=self._images.by_hand,
            notice=self._images.notice,
            calipers=self._calipers.survey.pairs,
            refused=self._calipers.survey.refused,
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
        self._modes_known, self._modes_ms = False, -np.inf
        self._modes.begin(None)
        if self._sector is None:
            self._scale = Task(None)

    def _follow(self, frame: Frame) -> None:
        motion = self._watch.observe(frame.pixels, frame.t_ms, self._sector)
        self._repeated_ms = motion.repeated_ms
        frozen = self._still or motion.frozen
        if frozen and not self._frozen:
            self._search_due = self._scale_due = True
            self._modes_ms = -np.inf
            self._words.stir(frame.t_ms)
        elif self._frozen and not frozen:
            self._calipers.forget()
            self._search_ms = frame.t_ms
        self._frozen = frozen
        self._note_drawing(motion)

    def _note_drawing(self, motion: Motion) -> None:
        if self._frozen and motion.drawn:
            self._search_due = True

    def _look_for_calipers(self, frame: Frame) -> None:
        before = self._calipers.survey.pairs
        self._seek(frame)
        if self._images.undecided and self._calipers.survey.pairs:
            self._settle_images()
        if self._calipers.survey.pairs != before:
            self._words.stir(frame.t_ms)

    def _settle_images(self) -> None:
        """Of two images the one that was measured is meant."""
        found = self._calipers.survey
        kept = tuple(pair for pair in found.pairs if self._images.together((pair.first, pair.second)))
        self._calipers.survey = replace(found, pairs=kept)
        if kept:
            self._images.measured(kept[0].first)
            self._scale_due = True

    def _seek(self, frame: Frame) -> None:
        if self._still:
            self._calipers.survey = survey(frame.pixels, self._images.searched)
            return
        if self._calipers.searching:
            self._calipers.go_on(self._elapsed_ms, self._other_slices)
            return
        since = frame.t_ms - self._search_ms
        due = self._search_due and since >= self._rules.search_pause_ms
        if not self._frozen:
            due = since >= self._rules.live_search_ms
        if due or self._markers_gone(frame):
            self._search_ms, self._search_due = frame.t_ms, False
            self._search(frame)

    @property
    def _other_slices(self) -> int:
        """How many slices of this frame are not for markers; where one may be measuring, all but the image waits."""
        if self._frozen:
            return self._images.slices
        aside = self._scale_due or self._scale.busy or self._modes.busy
        return self._images.slices + 1 + int(aside) + int(self._words.looking)  # one less: the gate looks at each frame

    @property
    def _slices(self) -> int:
        """How many slices of one thing this frame does: more where frames come slowly."""
        return max(1, min(MOST_SLICES, round(self._elapsed_ms / self._rules.slice_ms)))

    @property
    def _waits(self) -> bool:
        """Whether scale and modes wait for markers."""
        return self._frozen and not self._still and self._modes_known and self._calipers.searching

    def _search(self, frame: Frame) -> None:
        if self._sector is None:
            self._calipers.forget()
            return
        self._calipers.begin(frame.pixels, self._images.searched)
        self._calipers.go_on(self._elapsed_ms, self._other_slices)

    def _markers_gone(self, frame: Frame) -> bool:
        """Look now and then whether known markers still stand there; if not, nothing is known of them."""
        if not self._calipers.survey.pairs or frame.t_ms - self._recheck_ms < self._rules.recheck_ms:
            return False
        self._recheck_ms = frame.t_ms
        if self._calipers.holds(frame.pixels):
            return False
        self._calipers.forget()
        return True

    def _look_for_scale(self, frame: Frame) -> None:
        """Look for the scale where it is due, one slice a frame; the known one stands until the search has ended."""
        if self._scale_due:
            self._scale_due = False
            self._scale.begin(searching_scale(frame.pixels, self._sector, frame.regions, self._depths))
        if self._still or not (self._modes.busy or self._waits):
            self._scale.go_on(self._slices, whole=self._still)

    def _read_words(self, frame: Frame) -> None:
        """Read a little of the screen; of a still only where something was measured, for that takes long."""
        if self._sector is None:
            return
        if self._still and self._calipers.survey.pairs:
            self._words.read_still(frame.pixels, self._sector)
        elif not self._still:
            self._words.follow(frame.pixels, frame.t_ms, self._sector, frozen=self._frozen)
        depths = told(self._words.lines).depths_cm
        self._scale_due |= self._scale.result is None and depths != self._depths
        self._depths = depths

    def _look_for_modes(self, frame: Frame) -> None:
        """Look what else than one grey image is shown, one slice a frame; nothing is read before that is known."""
        if not self._modes.busy and frame.t_ms - self._modes_ms >= self._rules.modes_every_ms:
            self._modes_ms = frame.t_ms
            low_power, boxes = told(self._words.lines).low_power, self._words.boxes
            small = self._images.small
            work = searching_modes(frame.pixels, self._sector, boxes, low_power=low_power, small=small)
            self._modes.begin(work)
        if self._waits:
            return
        self._modes.go_on(self._slices, whole=self._still or not self._modes_known)
        self._modes_known |= self._sector is not None and not self._modes.busy

    def _printed_length(self) -> PrintedLength | None:
        """Return the printed length of the longest pair; what contradicts the scale counts once all words are read."""
        printed = length_of_longest(told(self._words.lines).lengths, self._calipers.survey.pairs, self._scale.result)
        if printed is None or self._scale.result is None or not self._words.waiting:
            return printed
        agrees = agree(printed.length_cm, self._calipers.survey.pairs[0].length_px / self._scale.result.px_per_cm)
        return printed if agrees else None

    def _printed_scale(self) -> Scale | None:
        """Return the scale that the printed length of the longest pair gives, where nothing else gives one."""
        if self._printed is None or not self._calipers.survey.pairs:
            return None
        return Scale(
            self._calipers.survey.pairs[0].length_px / self._printed.length_cm,
            "printed",
            round(self._printed.confidence, 3),
        )
