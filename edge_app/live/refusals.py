"""Refusals: every reason for which a frame gets no number, and what the operator does about it.

The codes are stable: they stand in records and in the output of ``echogfr analyze``. The order of the
table is the order in which a frame is judged; the first that applies is said.
"""

from __future__ import annotations

from edge_app.imaging.scene import QualityFault
from edge_app.live.report import Refusal

REASONS: dict[str, str] = {
    "no_signal": "No picture comes from the scanner ({detail}): check its video output, the cable and the grabber.",
    "no_sector": "No ultrasound image is seen on this screen: show the full B-mode image, without menus over it.",
    "torn_frame": "This frame is torn, made of two ({detail}): the next whole one is read.",
    "tearing": "The pictures come torn, each made of two frames ({detail}): set grabber and scanner to one rate and "
    "size, try another cable or USB port, or freeze.",
    "mode_doppler": "Doppler is on ({detail}): switch to plain B-mode and freeze again.",
    "mode_contrast": "This is a contrast image, which the model does not know: switch to plain B-mode.",
    "mode_dual": "Two images stand side by side: choose the kidney's, or show it alone.",
    "mode_other_organ": "The scanner is set for another organ: choose its kidney or abdomen preset.",
    "no_calipers": "No length markers are seen: freeze and measure the kidney length pole to pole, or place the two "
    "handles.",
    "calipers_outside": "The length markers are not on the ultrasound image: measure the kidney inside the image.",
    "poles_lost": "The kidney was lost from the handles: place them again.",
    "poles_outside": "A handle is not on the ultrasound image: place both on the ends of the kidney.",
    "calipers_moving": "The length markers are still moving: set both ends and leave them.",
    "length_implausible": "The marked length is no kidney's ({detail}): mark the kidney from pole to pole.",
    "scale_disagrees": "The lengths of this kidney do not agree ({detail}): measure anew, or correct the typed length.",
    "crop_impossible": "The picture cannot be cropped between the markers: {detail}.",
    "quality_*": "The picture is not good enough: {detail}.",  # quality_<rule>, hard faults only
    "no_model": "No model is loaded, so there are no numbers: choose a bundle that opens.",
    "phantom_picture": "This is the phantom's synthetic picture, which a trained model does not read: connect a "
    "scanner, or load the synthetic stand-in.",
    "busy": "The model is still reading an earlier frame: hold still.",
    "no_server": "The inference server is away, and looked for again: {detail}.",
    "model_failed": "The model could not read this frame: {detail}.",
    "out_of_domain": "This picture is not of the kind that the model was made for: {detail}.",
    "few_members": "Too few of the networks have read this picture for a number with an interval ({detail}): hold "
    "still, or freeze.",
}
STAND_IN = "it is a synthetic stand-in that reads only the phantom; load a trained bundle to read patients"
STRANGE = "its distance is {distance:.2f}, limit {limit:.2f}; optimise the view of the kidney and measure again"


class Refused(Exception):
    """Ends the judging of a frame; never leaves the pipeline."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def refuse(code: str, detail: str = "") -> Refusal:
    """Return the refusal of a code; ``detail`` fills the gap in its reason, if it has one."""
    return Refusal(code=code, reason=REASONS[code].format(detail=detail.rstrip(".")))


def refuse_quality(fault: QualityFault) -> Refusal:
    """Return the refusal of a hard quality fault: ``quality_`` and its code."""
    return Refusal(code=f"quality_{fault.code}", reason=REASONS["quality_*"].format(detail=fault.reason.rstrip(".")))


def explain_code(code: str) -> str:
    """Return the reason of a code without the details of one frame."""
    known = code if code in REASONS else "quality_*"
    text = REASONS[known].replace(" ({detail})", "").replace(": {detail}", "")
    return text if text.endswith(".") else text + "."
