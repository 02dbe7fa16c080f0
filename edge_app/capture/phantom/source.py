"""PhantomSource: a scanner with a patient, streamed live: scan, freeze, measure, hold, scan again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType

import numpy as np

from edge_app.capture.base import Frame, SourceError, SourceInfo
from edge_app.capture.phantom.arrays import U8, Point
from edge_app.capture.phantom.beam import Moment
from edge_app.capture.phantom.marks import Marks, whole
from edge_app.capture.phantom.motion import Motion, draw_motion
from edge_app.capture.phantom.patient import draw_patient, sample_egfr
from edge_app.capture.phantom.plan import SCHEME, PhantomPlan, parse_plan
from edge_app.capture.phantom.scanner import Machine, Scanner
from edge_app.capture.phantom.truth import Phase

__all__ = ["PhantomSource", "parse_plan"]

# Of the measuring time: nothing yet, first caliper on its way, second on its way, second still active.
FROZEN_UNTIL, FIRST_UNTIL, SECOND_UNTIL = 0.2, 0.45, 0.85
OPERATOR_JITTER_MM = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Freeze:
    """A frozen screen and the measurement that will be made on it."""

    cycle: int
    moment: Moment
    pixels: U8
    calipers: tuple[Point, Point]


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """What is on the screen: kept while nothing changes, as a frozen scanner does."""

    key: tuple[int, Phase, Marks | None]
    pixels: U8


class PhantomSource:
    """FrameSource of the phantom; frames carry their ``PhantomTruth``. One thread only.

    In real time, frames that the reader was too late for are left out, as a grabber does.
    """

    def __init__(self, plan: PhantomPlan) -> None:
        self._plan = plan
        self._scanner: Scanner | None = None
        self._motion: Motion | None = None
        self._freeze: _Freeze | None = None
        self._shown: _Shown | None = None
        self._next = 0
        self._started_s = 0.0

    @property
    def info(self) -> SourceInfo:
        """What this source says of itself."""
        plan = self._plan
        title = f"Synthetic phantom ({plan.look} look)"
        return SourceInfo(SCHEME, title, plan.realtime, plan.fps, plan.size)

    def __enter__(self) -> PhantomSource:
        """Build the patient and the scanner (about half a second)."""
        rng = np.random.default_rng([self._plan.seed, 11])
        egfr = sample_egfr(rng, "uniform") if self._plan.egfr is None else self._plan.egfr
        patient = draw_patient(rng, egfr, self._plan.side)
        self._scanner = Scanner(patient, Machine(self._plan.look, self._plan.size), rng)
        self._motion = draw_motion(rng)
        self._next = 0
        self._started_s = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of all buffers."""
        self._scanner = self._motion = self._freeze = self._shown = None

    def read(self) -> Frame | None:
        """Wait for the next frame and return it; None after the last.

        Raises
        ------
        SourceError
            The source was not entered.
        """
        if self._scanner is None or self._motion is None:
            raise SourceError("The phantom cannot be read", "it is not open", "enter the source first")
        if self._plan.realtime:
            self._wait()
        index = self._next
        if self._plan.frames is not None and index >= self._plan.frames:
            return None
        self._next = index + 1
        return self._frame(self._scanner, self._motion, index)

    def _wait(self) -> None:
        """Sleep until the next frame is due; skip those whose time has passed."""
        ahead = self._started_s + self._next / self._plan.fps - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        else:
            self._next += int(-ahead * self._plan.fps)

    def _frame(self, scanner: Scanner, motion: Motion, index: int) -> Frame:
        t_s = index / self._plan.fps
        cycle = self._plan.cycle
        number, since = int(t_s // cycle.period_s), t_s % cycle.period_s
        t_ms = 1000.0 * t_s
        if since < cycle.live_s:
            moment = motion.at(t_s)
            pixels = scanner.screen(moment, (index * 37, index * 23))
            pixels.flags.writeable = False
            return Frame(index, t_ms, pixels, truth=scanner.truth(moment, "live", None))
        freeze = self._frozen(scanner, motion, number)
        measure = (since - cycle.live_s) / cycle.measure_s
        phase, marks = _progress(measure, freeze.calipers, scanner.layout.origin)
        pixels = self._show(scanner, freeze, phase, marks)
        calipers = freeze.calipers if phase == "measured" else None
        return Frame(index, t_ms, pixels, truth=scanner.truth(freeze.moment, phase, calipers))

    def _frozen(self, scanner: Scanner, motion: Motion, number: int) -> _Freeze:
        """Return the frozen screen of a cycle: the last moment that was scanned live in it."""
        if self._freeze is None or self._freeze.cycle != number:
            cycle, fps = self._plan.cycle, self._plan.fps
            last = int(np.ceil((number * cycle.period_s + cycle.live_s) * fps)) - 1
            moment = motion.at(last / fps)
            rng = np.random.default_rng([self._plan.seed, 13, number])
            calipers = scanner.calipers_at(moment, OPERATOR_JITTER_MM, rng)
            self._freeze = _Freeze(number, moment, scanner.screen(moment, (last * 37, last * 23)), calipers)
        return self._freeze

    def _show(self, scanner: Scanner, freeze: _Freeze, phase: Phase, marks: Marks | None) -> U8:
        key = (freeze.cycle, phase, marks)
        if self._shown is None or self._shown.key != key:
            pixels = freeze.pixels.copy()
            if marks is not None:
                scanner.mark(pixels, marks)
            pixels.flags.writeable = False
            self._shown = _Shown(key, pixels)
        return self._shown.pixels


def _progress(measure: float, calipers: tuple[Point, Point], start: Point) -> tuple[Phase, Marks | None]:
    """Return the state of the measurement; ``measure`` 0 at the freeze, 1 when set."""
    first, second = calipers
    if measure < FROZEN_UNTIL:
        return "frozen", None
    if measure < FIRST_UNTIL:
        return "measuring", Marks("first", _between((start[0], first[1]), first, FROZEN_UNTIL, FIRST_UNTIL, measure))
    if measure < SECOND_UNTIL:
        return "measuring", Marks("second", first, _between(first, second, FIRST_UNTIL, SECOND_UNTIL, measure))
    if measure < 1.0:
        return "measuring", Marks("second", first, second)
    return "measured", Marks("set", first, second)


def _between(a: Point, b: Point, begin: float, end: float, now: float) -> Point:
    share = min(1.0, (now - begin) / (0.9 * (end - begin)))
    share = share * share * (3.0 - 2.0 * share)  # a hand starts and stops gently
    return whole((a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share))
