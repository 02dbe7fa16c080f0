"""Lengths: how long the marked kidney is by all that is known of it, and whether these agree."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from edge_app.imaging.printed import agree
from edge_app.imaging.scene import Scale, Scene
from edge_app.live.gate import REST_PX, Placed
from edge_app.live.refusals import Refused, refuse
from edge_app.live.report import LengthBasis

NAMES: dict[LengthBasis, str] = {
    "dicom": "the file",
    "ruler": "the depth ruler",
    "printed": "the scanner's result",
    "operator": "the typed length",
}
"""Best first: what is shown where all agree."""


@dataclass(slots=True)
class TypedLength:
    """What the operator read off the scanner; it holds for the markers for which it was typed, and for no others."""

    length_cm: float | None = None
    _ends: tuple[float, float, float, float] | None = None

    def set(self, length_cm: float | None, ends: tuple[float, float, float, float] | None = None) -> None:
        """Take a length for these markers, or for those that are seen next; None takes it back."""
        self.length_cm, self._ends = length_cm, ends

    def of(self, placed: Placed) -> float | None:
        """Return the length if it belongs to these markers; other markers end it."""
        if self.length_cm is None:
            return None
        if self._ends is None:
            self._ends = placed.ends
        if max(abs(a - b) for a, b in zip(placed.ends, self._ends, strict=True)) > REST_PX:
            self.set(None)
        return self.length_cm


def measured(scene: Scene, placed: Placed, typed_cm: float | None) -> dict[LengthBasis, float]:
    """Return the kidney's length in centimetres by all that is known, the best first.

    A printed length is that of the scanner's markers: it says nothing of the operator's own.
    """
    found: dict[LengthBasis, float] = {}
    if scene.scale is not None and scene.scale.basis in ("dicom", "ruler"):
        found[scene.scale.basis] = placed.length_px / scene.scale.px_per_cm
    if placed.report.basis == "calipers" and scene.printed is not None:
        found["printed"] = scene.printed.length_cm
    elif scene.scale is not None and scene.scale.basis == "printed":
        found["printed"] = placed.length_px / scene.scale.px_per_cm
    if typed_cm is not None:
        found["operator"] = typed_cm
    return {basis: round(found[basis], 3) for basis in NAMES if basis in found}


def scale_of(scene: Scene, placed: Placed | None) -> Scale | None:
    """Return the scale of the picture: what was seen, or else what the operator's length makes of the markers."""
    if scene.scale is not None or placed is None:
        return scene.scale
    typed_cm = placed.report.lengths_cm.get("operator")
    return None if typed_cm is None else Scale(placed.length_px / typed_cm, "operator", 1.0)


def require_agreement(lengths_cm: dict[LengthBasis, float]) -> None:
    """Raise ``Refused`` (scale_disagrees) for two lengths that cannot be of one kidney, with both of them."""
    for one, other in combinations(lengths_cm, 2):
        if not agree(lengths_cm[one], lengths_cm[other]):
            detail = f"{lengths_cm[one]:.1f} cm by {NAMES[one]}, {lengths_cm[other]:.1f} cm by {NAMES[other]}"
            raise Refused(refuse("scale_disagrees", detail))
