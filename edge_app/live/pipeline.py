"""Pipeline: one frame in, one report out. Pure and synchronous: no threads, no clock but for its own timings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import hypot
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame
from edge_app.imaging.observer import SceneObserver
from edge_app.imaging.quality import assess
from edge_app.imaging.scene import Point, Quality, Scene, Sector
from edge_app.live import reports
from edge_app.live.fusion import Ends, Fusion, Moment, same_poles
from edge_app.live.messages import Poles
from edge_app.live.refusals import refuse, refuse_quality
from edge_app.live.report import CropReport, FrameReport, Refusal
from engines.errors import InferenceError, TensorMismatchError, UsageError
from engines.manifest import BundleManifest, InputSpec
from engines.preprocess import CropBox, crop_box, extract
from engines.reading import Reading

KIDNEY_CM = (5.0, 16.0)  # hard plausibility of a length (clinic-and-paper 4.1)
OUTSIDE_PX = 0.03  # of the sector's larger side: markers may stand on the very edge of the fan
ENOUGH_READINGS = 5  # of one unchanged picture: more would only repeat what is known
SAME_GREY = 2.0  # mean |difference| of two crops of one frozen picture through a lossy grabber (7.1: < 2)
WITHOUT_MODEL = InputSpec(name="crop", height=224, width=224, crop_mode="square")  # to show the crop all the same


class CropReader(Protocol):
    """What the pipeline needs of ``engines.reading.Reader``."""

    @property
    def manifest(self) -> BundleManifest:
        """Crop mode and size, domain limit, synthetic or not."""
        ...

    def read(self, crop: NDArray[np.uint8]) -> Reading:
        """Read one crop."""
        ...


class Observer(Protocol):
    """What the pipeline needs of ``edge_app.imaging.observer.SceneObserver``."""

    @property
    def timings_ms(self) -> dict[str, float]:
        """Of the last call, by stage."""
        ...

    def observe(self, frame: Frame) -> Scene:
        """Say what is seen in the next frame of the stream."""
        ...


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """``allow_out_of_domain``: show such numbers, marked, instead of refusing them.

    It does not lift ``synthetic_model``: the stand-in never reads a patient.
    """

    allow_out_of_domain: bool = False
    generation: int = 0  # of the first report


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A report, the crop uint8 (H, W, 3) if this frame was read for the first time, and the sector seen."""

    report: FrameReport
    crop_rgb: NDArray[np.uint8] | None
    sector: Sector | None = None


class _Refused(Exception):
    """Ends the judging of a frame."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal


@dataclass(slots=True, eq=False)
class _Work:
    """What is known of one frame so far."""

    frame: Frame
    scene: Scene
    timings_ms: dict[str, float]
    crop: CropReport | None = None
    quality: Quality | None = None
    reading: Reading | None = None
    same: bool = False
    crop_rgb: NDArray[np.uint8] | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """The last crop that was read, how often its picture was read, and the reading."""

    crop: NDArray[np.uint8]
    poles: Ends
    count: int
    reading: Reading


class Pipeline:
    """From frame to report: observe, judge, crop, read, fuse. Lives on one thread, with the reader's session.

    Parameters
    ----------
    reader : CropReader or None
        None: everything but numbers.
    settings : PipelineSettings
        Frozen for the life of the pipeline.
    observer : Observer or None
        None: a new ``SceneObserver``, for one stream.
    """

    def __init__(
        self, reader: CropReader | None, settings: PipelineSettings | None = None, observer: Observer | None = None
    ) -> None:
        self._reader = reader
        self._settings = settings or PipelineSettings()
        self._input = reader.manifest.input if reader else WITHOUT_MODEL
        self._observer: Observer = observer or SceneObserver()
        self._fusion = Fusion()
        self._generation = self._settings.generation
        self._poles: Poles | None = None
        self._last: _Read | None = None

    @property
    def generation(self) -> int:
        """Goes up with every change of what is read; reports of an older one are void."""
        return self._generation

    def set_poles(self, poles: Poles | None, generation: int | None = None) -> None:
        """Use these poles until they are cleared with None; the generation goes up by one, or to the one given."""
        self._poles = poles
        self._generation = self._generation + 1 if generation is None else generation
        self._last = None

    def process(self, frame: Frame, infer: bool = True) -> Outcome:
        """Judge and read one frame; ``infer=False`` looks at it, but refuses a number as ``busy``.

        Never raises for what a picture may hold; a model that fails is a refusal (``model_failed``).
        """
        start = perf_counter()
        scene = self._observer.observe(frame)
        work = _Work(frame, scene, dict(self._observer.timings_ms))
        try:
            self._read(work, self._crop(work), infer)
        except _Refused as refused:
            work.refusal = refused.refusal
        return self._finish(work, start)

    def _crop(self, work: _Work) -> CropBox:
        with _timed(work, "gate"):
            sector = self._sector(work.scene)
            work.crop = self._placed(work.scene, sector)
            box = CropBox(work.crop.x0, work.crop.y0, work.crop.x1, work.crop.y1, self._input.crop_mode)
            length_cm = work.crop.length_cm
            if length_cm is not None and not KIDNEY_CM[0] <= length_cm <= KIDNEY_CM[1]:
                raise _Refused(refuse("length_implausible", f"{length_cm:.1f} cm"))
            work.quality = assess(work.frame.pixels, sector, box)
            for fault in work.quality.faults:
                if fault.hard:
                    raise _Refused(refuse_quality(fault))
            self._match(work.scene)
        return box

    def _sector(self, scene: Scene) -> Sector:
        if not scene.signal:
            raise _Refused(refuse("no_signal"))
        if scene.sector is None:
            raise _Refused(refuse("no_sector"))
        return scene.sector

    def _placed(self, scene: Scene, sector: Sector) -> CropReport:
        first, second = self._ends(scene)
        if not (_inside(sector, first) and _inside(sector, second)):
            raise _Refused(refuse("poles_outside" if self._poles else "calipers_outside"))
        try:
            box = crop_box(first, second, self._input.crop_mode, self._input.crop_factor)
        except UsageError as error:
            raise _Refused(refuse("crop_impossible", f"{error.because}; {error.cure}")) from error
        length_px = hypot(second[0] - first[0], second[1] - first[1])
        return CropReport(
            x0=box.x0,
            y0=box.y0,
            x1=box.x1,
            y1=box.y1,
            mode=box.mode,
            poles=(*first, *second),
            basis="poles" if self._poles else "calipers",
            length_cm=None if scene.scale is None else length_px / scene.scale.px_per_cm,
        )

    def _ends(self, scene: Scene) -> tuple[Point, Point]:
        if self._poles is not None:
            return (self._poles.x1, self._poles.y1), (self._poles.x2, self._poles.y2)
        if not scene.calipers:
            raise _Refused(refuse("no_calipers"))
        return scene.calipers[0].first, scene.calipers[0].second

    def _match(self, scene: Scene) -> None:
        if self._reader is None:
            raise _Refused(refuse("no_model"))
        if self._reader.manifest.synthetic != scene.synthetic:
            raise _Refused(refuse("phantom_picture" if scene.synthetic else "synthetic_model"))

    def _read(self, work: _Work, box: CropBox, infer: bool) -> None:
        with _timed(work, "crop"):
            crop = extract(work.frame.pixels, box, self._input.height, self._input.width)
            known = self._known(crop, _poles(work))
        if known is not None:
            work.same = True
            work.reading = known.reading if np.array_equal(crop, known.crop) else None
            if work.reading is not None or known.count >= ENOUGH_READINGS:
                return self._require_domain(known.reading)
            work.same = False
        if not infer:
            raise _Refused(refuse("busy"))
        with _timed(work, "infer"):
            reading = self._infer(crop)
        self._last = _Read(crop, _poles(work), known.count + 1 if known else 1, reading)
        self._require_domain(reading)
        work.reading, work.crop_rgb = reading, crop

    def _known(self, crop: NDArray[np.uint8], poles: Ends) -> _Read | None:
        """Return what was read before if this is still the same picture between the same poles."""
        if self._last is None or not same_poles(poles, self._last.poles):
            return None
        difference = np.abs(crop.astype(np.int16) - self._last.crop)
        return self._last if float(difference.mean()) <= SAME_GREY else None

    def _infer(self, crop: NDArray[np.uint8]) -> Reading:
        if self._reader is None:
            raise _Refused(refuse("no_model"))
        try:
            return self._reader.read(crop)
        except (InferenceError, TensorMismatchError) as error:
            raise _Refused(refuse("model_failed", f"{error.because}; {error.cure}")) from error

    def _require_domain(self, reading: Reading) -> None:
        if reading.in_domain or self._settings.allow_out_of_domain or self._reader is None:
            return
        limit = self._reader.manifest.domain.limit
        raise _Refused(refuse("out_of_domain", f"{reading.domain_distance:.2f}, limit {limit:.2f}"))

    def _finish(self, work: _Work, start: float) -> Outcome:
        if work.refusal is not None:
            work.reading, work.same, work.crop_rgb = None, False, None
        with _timed(work, "fuse"):
            state, readout = self._fusion.update(
                Moment(
                    frame=work.frame.index,
                    t_ms=work.frame.t_ms,
                    generation=self._generation,
                    signal=work.scene.signal,
                    frozen=work.scene.frozen,
                    poles=None if work.crop is None else work.crop.poles,
                    reading=None if work.same else work.reading,
                    same=work.same,
                )
            )
        work.timings_ms["total"] = (perf_counter() - start) * 1000
        scene = work.scene
        report = FrameReport(
            frame=work.frame.index,
            t_ms=work.frame.t_ms,
            generation=self._generation,
            state=state,
            sector=reports.sector(scene.sector),
            calipers=reports.calipers(scene.calipers),
            px_per_cm=None if scene.scale is None else scene.scale.px_per_cm,
            crop=work.crop,
            quality=reports.quality(work.quality),
            refusal=work.refusal,
            reading=reports.reading(work.reading),
            readout=readout,
            timings_ms=work.timings_ms,
        )
        return Outcome(report, work.crop_rgb, scene.sector)


def _poles(work: _Work) -> Ends:
    if work.crop is None:
        raise _Refused(refuse("no_calipers"))
    return work.crop.poles


def _inside(sector: Sector, point: Point) -> bool:
    """Tell whether a point lies on the sector, or next to its edge."""
    height, width = sector.mask.shape
    x0, y0, x1, y1 = sector.bbox
    slack = OUTSIDE_PX * max(x1 - x0, y1 - y0)
    left, top = max(0, int(point[0] - slack)), max(0, int(point[1] - slack))
    right, bottom = min(width, int(point[0] + slack) + 2), min(height, int(point[1] + slack) + 2)
    return right > left and bottom > top and bool(sector.mask[top:bottom, left:right].any())


@contextmanager
def _timed(work: _Work, stage: str) -> Iterator[None]:
    start = perf_counter()
    try:
        yield
    finally:
        work.timings_ms[stage] = (perf_counter() - start) * 1000
