"""The gate: whether a frame may be read, and where; in the order of the table of refusals."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

from edge_app.imaging.quality import RULES
from edge_app.imaging.scene import Mode, Point, Quality, Scene, Sector
from edge_app.imaging.signal import WORDS
from edge_app.live.messages import Poles
from edge_app.live.refusals import STAND_IN, Refused, refuse, refuse_quality
from edge_app.live.report import CropReport
from engines.errors import UsageError
from engines.manifest import InputSpec
from engines.preprocess import CropBox, crop_box

SETTLE_MS = 250.0  # a hand that draws a marker rests no longer than that; a result is due within 1 s
REST_PX = 2.0  # where a marker is found differs by so much in a noisy picture
OUTSIDE = 0.03  # of the sector's larger side: markers may stand on the very edge of the fan


@dataclass(frozen=True, slots=True)
class Placed:
    """Where the model is to read: the box, and what is reported of it."""

    box: CropBox
    report: CropReport
    marked: tuple[float, float, float, float] | None = None  # as the operator placed the poles that are followed

    @property
    def length_px(self) -> float:
        """Distance of the two poles, pixels."""
        x1, y1, x2, y2 = self.report.poles
        return hypot(x2 - x1, y2 - y1)

    @property
    def ends(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 of the two poles as marked, pixels: what is measured, wherever breathing has carried it."""
        return self.report.poles if self.marked is None else self.marked


def require_sector(scene: Scene) -> Sector:
    """Return the sector; raises ``Refused`` (no_signal, no_sector)."""
    if not scene.signal:
        raise Refused(refuse("no_signal", WORDS[scene.signal_fault or "black"]))
    if scene.sector is None:
        raise Refused(refuse("no_sector"))
    return scene.sector


MODES: tuple[tuple[Mode, str, str], ...] = (
    ("colour-doppler", "mode_doppler", "colour in the image"),
    ("spectral-doppler", "mode_doppler", "a spectrum on the screen"),
    ("m-mode", "mode_doppler", "an M-mode trace on the screen"),
    ("contrast", "mode_contrast", ""),
    ("dual", "mode_dual", ""),
    ("other-organ", "mode_other_organ", ""),
)
"""(what is shown, its refusal, its detail), in the order in which they are said."""


def require_b_mode(scene: Scene) -> None:
    """Raise ``Refused`` for a picture that is no whole, single grey image: no_signal to mode_* of the table."""
    require_sector(scene)
    require_whole(scene)
    for mode, code, detail in MODES:
        if mode in scene.modes:
            raise Refused(refuse(code, detail))


def require_whole(scene: Scene) -> None:
    """Raise ``Refused`` for a torn frame, and for all of a moving stream in which these go on coming.

    A frozen picture comes again and again: the second time it is whole.
    """
    if scene.tears.often and (scene.tears.torn or not scene.frozen):
        raise Refused(refuse("tearing", f"{scene.tears.count} torn up to now"))
    if scene.tears.torn:
        raise Refused(refuse("torn_frame", scene.tears.torn))


def place(scene: Scene, poles: Poles | None, spec: InputSpec, marked: Poles | None = None) -> Placed:
    """Place the crop on the operator's poles, or else on the longest calipers; ``marked``: where these were placed.

    Raises
    ------
    Refused
        no_calipers, calipers_outside, poles_outside, crop_impossible.
    """
    sector = require_sector(scene)
    first, second = _ends(scene, poles)
    if not (inside(sector, first) and inside(sector, second)):
        raise Refused(refuse("calipers_outside" if poles is None else "poles_outside"))
    try:
        box = crop_box(first, second, spec.crop_mode, spec.crop_factor)
    except UsageError as error:
        raise Refused(refuse("crop_impossible", f"{error.because}; {error.cure}")) from error
    report = CropReport(
        x0=box.x0,
        y0=box.y0,
        x1=box.x1,
        y1=box.y1,
        mode=box.mode,
        poles=(*first, *second),
        basis="calipers" if poles is None else "proposed-accepted" if poles.proposed else "poles",
        length_cm=None,
    )
    return Placed(box, report, None if marked is None else (marked.x1, marked.y1, marked.x2, marked.y2))


class Settling:
    """Watches whether the scanner's markers still move: a number of a half-drawn length would be wrong."""

    def __init__(self) -> None:
        self._ends: tuple[float, float, float, float] | None = None
        self._since_ms = 0.0

    def require_rest(self, placed: Placed, t_ms: float) -> None:
        """Raise ``Refused`` (calipers_moving) until the markers have been where they are for a moment."""
        if self._ends is None or not self._near(placed.ends, self._ends):
            self._ends, self._since_ms = placed.ends, t_ms
        if t_ms - self._since_ms < SETTLE_MS:
            raise Refused(refuse("calipers_moving"))

    @staticmethod
    def _near(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
        return max(abs(a - b) for a, b in zip(one, other, strict=True)) <= REST_PX


def require_kidney_length(length_cm: float | None) -> None:
    """Raise ``Refused`` (length_implausible) for a known length that is no kidney's."""
    shortest_cm, longest_cm = RULES.length_cm
    if length_cm is not None and not shortest_cm <= length_cm <= longest_cm:
        raise Refused(refuse("length_implausible", f"{length_cm:.1f} cm"))


def require_quality(quality: Quality) -> None:
    """Raise ``Refused`` (quality_*) for the first hard fault."""
    for fault in quality.faults:
        if fault.hard:
            raise Refused(refuse_quality(fault))


def require_match(scene: Scene, synthetic_model: bool, allow_out_of_domain: bool) -> bool:
    """Return whether picture and model are of one kind, both synthetic or neither (docs/decisions/0004).

    Raises
    ------
    Refused
        phantom_picture: a trained model never reads the phantom. out_of_domain: the synthetic stand-in
        meets a patient's picture, and that was not allowed.
    """
    if scene.synthetic and not synthetic_model:
        raise Refused(refuse("phantom_picture"))
    matches = scene.synthetic == synthetic_model
    if not matches and not allow_out_of_domain:
        raise Refused(refuse("out_of_domain", STAND_IN))
    return matches


def _ends(scene: Scene, poles: Poles | None) -> tuple[Point, Point]:
    if poles is not None:
        return (poles.x1, poles.y1), (poles.x2, poles.y2)
    if not scene.calipers:
        raise Refused(refuse("no_calipers"))
    return scene.calipers[0].first, scene.calipers[0].second


def inside(sector: Sector, point: Point) -> bool:
    """Tell whether a point lies on the sector, or next to its edge."""
    height, width = sector.mask.shape
    x0, y0, x1, y1 = sector.bbox
    slack = OUTSIDE * max(x1 - x0, y1 - y0)
    left, top = max(0, int(point[0] - slack)), max(0, int(point[1] - slack))
    right, bottom = min(width, int(point[0] + slack) + 2), min(height, int(point[1] + slack) + 2)
    return right > left and bottom > top and bool(sector.mask[top:bottom, left:right].any())
