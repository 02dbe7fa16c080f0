"""Times each stage from a frame to the gate's answer over streams, against what is asked of them.

Run: ``python tests/bench/imaging.py [DIR] --stages [FRAMES]``. One core, milliseconds of this thread's CPU time and of
the clock's; what else the machine does makes both longer, so compare with another version in the same minutes.
Streams: phantoms of all looks at 1920x1080 that are scanned, frozen and measured; composed screens with markers, scaled
to that and set moving, then frozen; and the clips in DIR/clips, as they are and as a grabber scales them to 1920x1080.
Each runs twice: as it is, and with the operator's handles on it. Words are read on a thread of their own, as in the
app.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter, thread_time

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame
from edge_app.capture.open import open_source
from edge_app.capture.phantom.layout import LOOKS
from edge_app.capture.phantom.plan import Cycle, PhantomPlan
from edge_app.capture.phantom.source import PhantomSource
from edge_app.imaging.observer import SceneObserver
from edge_app.imaging.scene import Scene
from edge_app.imaging.scribe import SCRIBE
from edge_app.live import pipeline as pipeline_module
from edge_app.live.messages import Poles
from edge_app.live.pipeline import Pipeline
from tests.imaging.screens import compose

U8 = NDArray[np.uint8]
SIZE = (1920, 1080)
STAGES = ("signal", "sector", "freeze", "calipers", "words", "ruler", "modes", "gate", "track")
ASKED = ("sector", "calipers", "ruler", "gate")
SEEDS = (0, 1, 3, 6, 9, 10, 12, 15, 18, 21)  # of composed screens; all of them with markers
FPS = 25.0
GOALS_MS = {"asked": 12.0, "calipers": 4.0, "track": 4.0, "gate": 2.0}


@dataclass
class Took:
    """(CPU, wall) milliseconds of each frame by stage or sum; what did not run in a frame has none."""

    by: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    frames: int = 0

    def add(self, name: str, stages: dict[str, tuple[float, float]], some: tuple[str, ...]) -> None:
        """Note the sum of some stages of one frame."""
        took = [stages[stage] for stage in some if stage in stages]
        if took:
            self.by[name].append((sum(cpu for cpu, _ in took), sum(wall for _, wall in took)))

    def line(self, name: str, goal_ms: float | None = None) -> str:
        """Return one line of the table."""
        if not self.by[name]:
            return f"{name:28s} never"
        cpu, wall = np.array(self.by[name]).T
        numbers = [f"{np.median(v):7.1f} {np.percentile(v, 95):7.1f} {np.percentile(v, 99):7.1f}" for v in (cpu, wall)]
        asked = "" if goal_ms is None else f"   asked {goal_ms:.0f}: {_verdict(float(np.percentile(cpu, 95)), goal_ms)}"
        return f"{name:28s}{numbers[0]}   {numbers[1]}   {len(cpu):6d}{asked}"


def _verdict(p95: float, goal_ms: float) -> str:
    return "met" if p95 <= goal_ms else "NOT MET"


class _Clock:
    """Notes both clocks of the stages of the frame that is worked on."""

    def __init__(self) -> None:
        self.stages: dict[str, tuple[float, float]] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        cpu, wall = thread_time(), perf_counter()
        try:
            yield
        finally:
            self.stages[name] = (thread_time() - cpu) * 1e3, (perf_counter() - wall) * 1e3


class _TimedObserver(SceneObserver):
    """The observer with both clocks; what it knows before a frame says whether that frame is a tracked one."""

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock
        self.scene: Scene | None = None
        self.tracked = False

    def observe(self, frame: Frame) -> Scene:
        known = bool(self._calipers.survey.pairs) and not self._calipers.searching
        self.scene = super().observe(frame)
        self.tracked = known and bool(self.scene.calipers) and not self._calipers.searching
        return self.scene

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        with self._clock.stage(stage), super()._timed(stage):
            yield


def main(frames: int = 150, data: Path | None = None) -> None:
    """Print a table of each kind of stream."""
    cv2.setNumThreads(1)
    groups: dict[str, list[Callable[[], Iterator[Frame]]]] = {
        "phantom": [lambda look=look: _phantom(look, frames) for look in LOOKS],  # type: ignore[misc]
        "composed": [lambda seed=seed: _composed(seed, frames) for seed in SEEDS],  # type: ignore[misc]
    }
    clips = sorted((data / "clips").glob("*.mp4")) if data else []
    if clips:
        groups["clips"] = [lambda clip=clip: islice(_clip(clip), frames) for clip in clips]  # type: ignore[misc]
        groups["clips scaled"] = [
            lambda clip=clip: map(_scaled, islice(_clip(clip), frames))  # type: ignore[misc]
            for clip in clips
        ]
    every = Took()
    with _scribe():
        for name, streams in groups.items():
            took = Took()
            for stream in streams:
                for handles in (False, True):
                    watch(stream(), handles, took, every if name != "clips" else None)
            report(name if name == "clips" else f"{name}, {SIZE[0]}x{SIZE[1]}", took)
    report(f"all of {SIZE[0]}x{SIZE[1]}", every)


def watch(frames: Iterator[Frame], handles: bool, *tallies: Took | None) -> None:
    """Send one stream through the observer and the gate, with or without the operator's handles."""
    clock = _Clock()
    observer = _TimedObserver(clock)
    pipeline = Pipeline(None, observer=observer)
    with _pipeline_timed(clock):
        for frame in frames:
            if handles and observer.scene is not None and observer.scene.sector is not None:
                pipeline.set_poles(_poles(observer.scene, frame))
                handles = False
            clock.stages = {}
            pipeline.process(frame)
            for tally in filter(None, tallies):
                _note(tally, clock.stages, observer.tracked)


def _note(took: Took, stages: dict[str, tuple[float, float]], tracked: bool) -> None:
    took.frames += 1
    for stage in STAGES:
        took.add(stage, stages, (stage,))
    took.add("sector+calipers+ruler+gate", stages, ASKED)
    took.add("all", stages, STAGES)
    if tracked:
        took.add("markers known: calipers", stages, ("calipers",))
        took.add("markers known: all", stages, STAGES)
    if stages.get("track", (0.0, 0.0))[0] > 0:
        took.add("handles tracked: track", stages, ("track",))
        took.add("handles tracked: all", stages, STAGES)


def report(name: str, took: Took) -> None:
    """Print the table of one kind of stream."""
    print(f"\n{name}, {took.frames} frames: median, p95, p99 of CPU ms; of wall ms; frames in which it ran")
    goals = {
        "sector+calipers+ruler+gate": GOALS_MS["asked"],
        "gate": GOALS_MS["gate"],
        "markers known: calipers": GOALS_MS["calipers"],
        "handles tracked: track": GOALS_MS["track"],
    }
    sums = ("markers known: calipers", "markers known: all", "handles tracked: track", "handles tracked: all")
    for row in (*STAGES, "sector+calipers+ruler+gate", "all", *sums):
        print(took.line(row, goals.get(row)), flush=True)


@contextmanager
def _pipeline_timed(clock: _Clock) -> Iterator[None]:
    names = vars(pipeline_module)
    own = names["_timed"]
    names["_timed"] = lambda _work, stage: clock.stage(stage)
    try:
        yield
    finally:
        names["_timed"] = own


@contextmanager
def _scribe() -> Iterator[None]:
    """Read words on a thread of their own, as the worker does."""
    stopped = threading.Event()
    thread = threading.Thread(target=SCRIBE.serve, args=(stopped.is_set,))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _poles(scene: Scene, frame: Frame) -> Poles:
    """Return the phantom's poles, or two places in the middle of the image."""
    ends = getattr(frame.truth, "poles", None)
    if ends is None and scene.sector is not None:
        x0, y0, x1, y1 = scene.sector.bbox
        middle, reach = (y0 + y1) / 2, 0.25 * min(x1 - x0, y1 - y0)
        ends = ((x0 + x1) / 2 - reach, middle), ((x0 + x1) / 2 + reach, middle)
    (ax, ay), (bx, by) = ends or ((0.0, 0.0), (0.0, 0.0))
    return Poles(x1=ax, y1=ay, x2=bx, y2=by)


def _phantom(look: str, frames: int) -> Iterator[Frame]:
    plan = PhantomPlan(look, SIZE, 11, fps=FPS, frames=frames, realtime=False, cycle=Cycle(2.0, 1.2, 2.8))  # type: ignore[arg-type]
    with PhantomSource(plan) as source:
        while (frame := source.read()) is not None:
            yield frame


def _composed(seed: int, frames: int) -> Iterator[Frame]:
    """Yield a composed screen whose image breathes and is noisy for a third of the frames, then stands still."""
    screen, rng = compose(seed), np.random.default_rng(seed)
    picture = _fitted(screen.pixels, cv2.INTER_LINEAR)
    mask = _fitted(np.repeat(screen.mask.astype(np.uint8)[..., None], 3, axis=2), cv2.INTER_NEAREST) > 0
    for index in range(frames):
        pixels = picture
        if index < frames // 3:
            across = round(12 * np.sin(2 * np.pi * index / 60))
            noise = rng.integers(-4, 5, picture.shape, dtype=np.int16)
            moved = np.clip(np.roll(picture, across, axis=1).astype(np.int16) + noise, 0, 255).astype(np.uint8)
            pixels = np.where(mask, moved, picture)
        yield _frame(index, pixels)


def _frame(index: int, pixels: U8) -> Frame:
    pixels.setflags(write=False)
    return Frame(index, index * 1000 / FPS, pixels)


def _clip(path: Path) -> Iterator[Frame]:
    with open_source(f"file:{path}", realtime=False) as source:
        while isinstance(frame := source.read(), Frame):
            yield frame


def _scaled(frame: Frame) -> Frame:
    pixels = _fitted(frame.pixels, cv2.INTER_LINEAR)
    pixels.setflags(write=False)
    return Frame(frame.index, frame.t_ms, pixels)


def _fitted(pixels: U8, how: int) -> U8:
    """Return a picture as large as it goes into the frame, black beside it."""
    factor = min(SIZE[0] / pixels.shape[1], SIZE[1] / pixels.shape[0])
    width, height = round(pixels.shape[1] * factor), round(pixels.shape[0] * factor)
    left, top = (SIZE[0] - width) // 2, (SIZE[1] - height) // 2
    out = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    out[top : top + height, left : left + width] = cv2.resize(pixels, (width, height), interpolation=how)
    return out
