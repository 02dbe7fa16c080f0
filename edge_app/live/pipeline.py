"""Pipeline: one frame in, one report out. Pure and synchronous: no threads, no clock but for its own timings."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame
from edge_app.imaging.observer import SceneObserver
from edge_app.imaging.quality import CropMotion, Measured, assess, pole_margin
from edge_app.imaging.scene import Quality, Scene, Sector
from edge_app.imaging.thresholds import Thresholds, load_thresholds
from edge_app.imaging.tracking import Tracked
from edge_app.live import gate, lengths, reports
from edge_app.live.following import Following
from edge_app.live.fusion import Ends, Fusion, Moment, same_poles
from edge_app.live.gate import Placed
from edge_app.live.messages import ChooseImage, ClearPoles, Command, MoveImage, Poles, SetLength, SetPoles
from edge_app.live.ports import CropReader, Observer
from edge_app.live.proposing import Proposer
from edge_app.live.refusals import STRANGE, Refused, refuse
from edge_app.live.report import FrameReport, ProposalReport, Readout, Refusal, State
from edge_app.live.rotation import Rotation, View
from engines.errors import InferenceError, ServerUnavailableError, TensorMismatchError
from engines.manifest import InputSpec
from engines.preprocess import extract
from engines.reading import Reading

ENOUGH_READINGS = 5  # of one unchanged picture: more would only repeat what is known
SAME_GREY = 2.0  # mean |difference| of two crops of one frozen picture through a lossy grabber (7.1: < 2)
WITHOUT_MODEL = InputSpec(name="crop", height=224, width=224, crop_mode="square")  # to show the crop all the same


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """``allow_out_of_domain``: show such numbers, marked, instead of refusing them.

    That holds for a picture far from the development data, and for a patient's picture before the
    synthetic stand-in, whatever its distance. ``rotate``: members take turns while the picture is live.
    """

    allow_out_of_domain: bool = False
    generation: int = 0  # of the first report
    stills: bool = False  # each frame is a picture of its own, measured and done
    rotate: bool = False  # the reader's members are apart; a still is read by all of them all the same
    thresholds: Thresholds = field(default_factory=load_thresholds)  # of the quality gate


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """A report, the crop uint8 (H, W, 3) if this frame was read for the first time, sector and reading as found."""

    report: FrameReport
    crop_rgb: NDArray[np.uint8] | None
    sector: Sector | None = None
    reading: Reading | None = None


@dataclass(slots=True, eq=False)
class _Work:
    """What is known of one frame so far."""

    frame: Frame
    scene: Scene
    timings_ms: dict[str, float]
    tracked: Tracked | None = None
    proposal: ProposalReport | None = None
    placed: Placed | None = None
    quality: Quality | None = None
    reading: Reading | None = None
    matches: bool = True  # picture and model are of one kind
    same: bool = False  # the crop of the newest reading once more
    crop_rgb: NDArray[np.uint8] | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """The last crop that was read, how often its picture was read, as what kind of picture, and the reading."""

    crop: NDArray[np.uint8]
    ends: Ends
    count: int
    frozen: bool
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
    proposer : Proposer or None
        None: no poles are proposed.
    """

    def __init__(
        self,
        reader: CropReader | None,
        settings: PipelineSettings | None = None,
        observer: Observer | None = None,
        proposer: Proposer | None = None,
    ) -> None:
        self._reader = reader
        self._proposer = proposer
        self._settings = settings or PipelineSettings()
        self._input = reader.manifest.input if reader else WITHOUT_MODEL
        self._observer: Observer = observer or SceneObserver(still=self._settings.stills)
        self._settling = gate.Settling()
        self._fusion = Fusion()
        self._generation = self._settings.generation
        self._following = Following(self._settings.stills)
        self._typed = lengths.TypedLength()
        self._motion = CropMotion()
        self._measured = Measured()
        self._last: _Read | None = None
        rotates = reader is not None and self._settings.rotate and not self._settings.stills
        self._rotation = Rotation(reader.manifest.members) if reader is not None and rotates else None

    @property
    def generation(self) -> int:
        """Goes up with every change of what is read; reports of an older one are void."""
        return self._generation

    def set_poles(self, poles: Poles | None, generation: int | None = None) -> None:
        """Use these poles until they are cleared with None; the generation goes up by one, or to the one given.

        They are where they are in the frame that they name, or in the next, and follow the kidney from there.
        """
        self._following.place(poles)
        self._generation = self._generation + 1 if generation is None else generation
        self._last = None
        if self._rotation is not None:
            self._rotation.forget()

    def set_length(self, length_cm: float | None) -> None:
        """Take the length that the operator read off the scanner, for the markers seen next; None takes it back.

        The crop stays what it is, so what was read of it stands, unless the lengths now disagree.
        """
        self._typed.set(length_cm)

    def restore_length(self, length_cm: float, ends: Ends | None) -> None:
        """Take a length that was typed before, for the markers ``ends``, or for those seen next."""
        self._typed.set(length_cm, ends)

    def obey(self, command: Command) -> None:
        """Do what the operator wants of the picture."""
        if isinstance(command, (SetPoles, ClearPoles)):
            self.set_poles(command.poles if isinstance(command, SetPoles) else None, command.generation)
        elif isinstance(command, SetLength):
            self.set_length(command.length_cm)
        else:
            self._show(command)
            self.set_poles(self._following.poles, command.generation)  # what was read so far is of another image

    def _show(self, command: ChooseImage | MoveImage) -> None:
        if isinstance(command, ChooseImage):
            self._observer.choose((command.x, command.y))
        else:
            self._observer.move(command.by)

    def process(self, frame: Frame, infer: bool = True) -> Outcome:
        """Judge and read one frame; ``infer=False`` looks at it, but refuses a number as ``busy``.

        Never raises for what a picture may hold; a model that fails is a refusal (``model_failed``).
        """
        start = perf_counter()
        scene = self._observer.observe(frame)
        work = _Work(frame, scene, dict(self._observer.timings_ms))
        self._following.see(frame, scene)
        self._propose(work)
        try:
            placed = self._judge(work)
            self._read(work, placed, infer)
        except Refused as refused:
            work.refusal = refused.refusal
        with _timed(work, "fuse"):
            state, readout = self._fusion.update(self._moment(work))
        self._require_members(work)
        work.timings_ms["total"] = (perf_counter() - start) * 1000
        return Outcome(self._report(work, state, readout), work.crop_rgb, scene.sector, work.reading)

    def _judge(self, work: _Work) -> Placed:
        scene = work.scene
        poles = self._follow(work)
        with _timed(work, "gate"):
            gate.require_b_mode(scene)
            placed = work.placed = self._place(scene, poles)
            if self._following.poles is None and not self._settings.stills:
                self._settling.require_rest(placed, work.frame.t_ms)
            lengths.require_agreement(placed.report.lengths_cm)
            gate.require_kidney_length(placed.report.length_cm)
            work.quality = self._assess(work.frame, scene, placed)
            gate.require_quality(work.quality)
            synthetic = self._require_reader().manifest.synthetic
            work.matches = gate.require_match(scene, synthetic, self._settings.allow_out_of_domain)
        return placed

    def _place(self, scene: Scene, poles: Poles | None) -> Placed:
        """Place the crop, and note the kidney's length by all that is known of it."""
        placed = gate.place(scene, poles, self._input, self._following.poles)
        known = lengths.measured(scene, placed, self._typed.of(placed))
        basis = next(iter(known), None)
        told = {"length_cm": known.get(basis) if basis else None, "length_basis": basis, "lengths_cm": known}
        return replace(placed, report=placed.report.model_copy(update=told))

    def _assess(self, frame: Frame, scene: Scene, placed: Placed) -> Quality:
        """Judge the crop by the limits of this scanner."""
        sector = gate.require_sector(scene)
        beside = {"margin": pole_margin(sector, placed.report.poles)}
        moving = None if self._settings.stills else self._motion.measure(frame.pixels, placed.box)
        if moving is not None:
            beside["moving"] = moving
        rules = self._settings.thresholds.rules(scene.maker, scene.layout)
        memory = self._measured.at(scene, stands=scene.frozen and not self._settings.stills)
        return assess(frame.pixels, sector, placed.box, None, rules, beside, memory)

    def _propose(self, work: _Work) -> None:
        """Look for poles to propose, where the operator has placed none."""
        if self._proposer is None:
            return
        if self._following.poles is not None:
            return self._proposer.forget()
        if work.scene.tears.torn:
            return None
        with _timed(work, "propose"):
            work.proposal = self._proposer.consider(work.frame, work.scene)

    def _follow(self, work: _Work) -> Poles | None:
        """Return where the operator's poles are in this frame, if there are any; raises ``Refused`` (poles_lost)."""
        sector = gate.require_sector(work.scene)
        poles, work.tracked = self._following.follow(sector, partial(_timed, work))
        if work.tracked is not None and work.tracked.state == "lost":
            raise Refused(refuse("poles_lost"))
        return poles

    def _require_reader(self) -> CropReader:
        if self._reader is None:
            raise Refused(refuse("no_model"))
        return self._reader

    def _read(self, work: _Work, placed: Placed, infer: bool) -> None:
        with _timed(work, "crop"):
            crop = extract(work.frame.pixels, placed.box, self._input.height, self._input.width)
            known = self._known(crop, placed.ends, work.scene.frozen)
        if known is not None and self._enough(crop, known):
            self._require_domain(known.reading)
            work.same = True
            work.reading = known.reading if np.array_equal(crop, known.crop) else None
            return
        if not infer:
            raise Refused(refuse("busy"))
        with _timed(work, "infer"):
            reading = self._infer(crop, View(work.frame.t_ms, work.scene.frozen, placed.ends))
        if not work.matches:
            reading = replace(reading, in_domain=False)
        self._last = _Read(crop, placed.ends, known.count + 1 if known else 1, work.scene.frozen, reading)
        self._require_domain(reading)
        work.reading, work.crop_rgb = reading, crop

    def _known(self, crop: NDArray[np.uint8], ends: Ends, frozen: bool) -> _Read | None:
        """Return what was read before if this is still the same picture between the same poles.

        Where members take turns, a picture that was read live is a new one once it is frozen: all of them read it.
        """
        if self._last is None or not same_poles(ends, self._last.ends):
            return None
        if self._rotation is not None and frozen != self._last.frozen:
            return None
        difference = cv2.absdiff(crop, self._last.crop)
        return self._last if float(difference.mean()) <= SAME_GREY else None

    def _enough(self, crop: NDArray[np.uint8], known: _Read) -> bool:
        """Tell whether to read once more would only repeat what is known; members that take turns repeat nothing."""
        turns = 1 if known.reading.whole else known.reading.members_total
        return known.count >= ENOUGH_READINGS * turns or (known.count >= turns and np.array_equal(crop, known.crop))

    def _infer(self, crop: NDArray[np.uint8], view: View) -> Reading:
        reader, turn = self._require_reader(), None if self._rotation is None else self._rotation.turn(view)
        try:
            reading = reader.read(crop) if turn is None else reader.read_member(crop, *turn)
        except ServerUnavailableError as error:
            raise Refused(refuse("no_server", f"{error.because}; {error.cure}")) from error
        except (InferenceError, TensorMismatchError) as error:
            raise Refused(refuse("model_failed", f"{error.because}; {error.cure}")) from error
        if self._rotation is not None:
            self._rotation.took(view, reading)
        return reading

    def _require_members(self, work: _Work) -> None:
        """Refuse a number, if nothing else did, while too few members have seen the picture."""
        waiting = self._fusion.waiting
        if waiting is not None and work.refusal is None:
            work.refusal = refuse("few_members", f"{waiting[0]} of {waiting[1]}")
            work.reading = None

    def _require_domain(self, reading: Reading) -> None:
        if reading.in_domain or self._settings.allow_out_of_domain:
            return
        limit = self._require_reader().manifest.domain.limit
        raise Refused(refuse("out_of_domain", STRANGE.format(distance=reading.domain_distance, limit=limit)))

    def _moment(self, work: _Work) -> Moment:
        return Moment(
            frame=work.frame.index,
            t_ms=work.frame.t_ms,
            generation=self._generation,
            signal=work.scene.signal,
            frozen=work.scene.frozen,
            poles=None if work.placed is None else work.placed.ends,
            reading=None if work.same else work.reading,
            same=work.same,
        )

    def _report(self, work: _Work, state: State, readout: Readout | None) -> FrameReport:
        scene = work.scene
        scale = lengths.scale_of(scene, work.placed)
        return FrameReport(
            frame=work.frame.index,
            t_ms=work.frame.t_ms,
            generation=self._generation,
            state=state,
            frozen=scene.frozen,
            repeated_ms=scene.repeated_ms,
            sector=reports.sector(scene.sector),
            others=tuple(told for image in scene.images[1:] if (told := reports.sector(image)) is not None),
            undecided="dual" in scene.modes,
            by_hand=scene.by_hand,
            torn=scene.tears.count,
            notice=scene.notice or reports.squeezed(scene.sector),
            calipers=reports.calipers(scene.calipers),
            px_per_cm=None if scale is None else scale.px_per_cm,
            scale_basis=None if scale is None else scale.basis,
            modes=tuple(sorted(scene.modes)),
            refused=reports.refused(scene.refused),
            crop=None if work.placed is None else work.placed.report,
            tracking=reports.tracking(work.tracked),
            proposal=work.proposal,
            quality=reports.quality(work.quality),
            refusal=work.refusal,
            reading=reports.reading(work.reading),
            readout=readout,
            timings_ms=work.timings_ms,
        )


@contextmanager
def _timed(work: _Work, stage: str) -> Iterator[None]:
    start = perf_counter()
    try:
        yield
    finally:
        work.timings_ms[stage] = (perf_counter() - start) * 1000
