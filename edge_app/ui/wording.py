"""The sentences of the window. Clinic-and-paper 5.3: say range and interval, never 'stage', never 'detected'."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from edge_app.live.phrases import amount
from engines.manifest import HeadSpec, ProbabilityHead, RegressionHead

UNIT = "mL/min/1.73 m²"
PURPOSE = "Image-derived eGFR estimate, research use."
CAUTION = "One time point: CKD needs 3 months' persistence. Confirm with serum creatinine."
ANY_PURPOSE = "Image-derived estimates, research use."  # of a model that is not known, or not yet
ANY_CAUTION = "One picture, one time point: no decision may rest on it."
NO_INTERVAL = "No interval: not calibrated"
CATEGORY_RANGE = "Category range"
HEADS_DISAGREE = "Heads disagree: inconclusive."
OUTSIDE = "out of domain"
OUT_OF_DOMAIN = "OUT OF DOMAIN: do not rely on this"
MAP_CAPTION = "where the network looked, not a lesion map"
SYNTHETIC_MODEL = "SYNTHETIC MODEL: no patient's value"
SYNTHETIC_PICTURE = "SYNTHETIC PICTURE: no patient's value"
PLACE_HINT = "Touch the two ends of the kidney, or drag the handles there. Enter: use them as they are."
IN_USE = "Handles in use instead of calipers."
BORDER_HINT = (
    "Move the image's border: drag a side, or Tab and arrows. Enter keeps it, Esc leaves it, Delete: as found."
)
TWO_IMAGES = "Two images: tap the one that is to be read."
PROPOSED = "Poles PROPOSED, not measured. Enter, or a touch on one: use them. P: place your own."
BETWEEN = {"poles": "handles", "proposed-accepted": "proposed, accepted"}
FOLLOWING = {
    "following": "Handles in use: following the kidney.",
    "held": "Handles in use: the picture is frozen.",
    "lost": "LOST: the kidney is not at the handles. Place them again.",
}

LONG_NAME = 32  # characters
ABOVE = 60.0  # mL/min/1.73 m2: from here on the model resolves little, and many labs print no value either


def rounded(egfr: float) -> str:
    """Return a value as a whole number, halves upwards; the heads are linear and can fall below zero."""
    return amount(max(0.0, egfr), 1.0)


def headline(egfr: float) -> str:
    """Return the number that is read at 1 m.

    From 60 mL/min/1.73 m2 on the value steps back behind ">=60", itself set smaller: there the published
    model has a bias of -20 to -58 and a 90 % half width of 100 (clinic-and-paper 1.7), and laboratories report
    MDRD as ">60".
    """
    return f"≥{ABOVE:.0f}" if egfr >= ABOVE else rounded(egfr)


def figure(value: float, resolution: float) -> str:
    """Return a number of any head, to its smallest difference that matters, with a typographer's minus."""
    return amount(value, resolution).replace("-", "−")


def interval(low: str, high: str, level: float) -> str:
    """Return ``28–64 (90 %)``; a sign makes a dash unreadable, so that then it is ``−5 to 3 (90 %)``."""
    between = " to " if "−" in low + high else "–"
    return f"{low}{between}{high} ({100 * level:.0f} %)"


def percent(p: float) -> str:
    """Return a probability in percent, without the sign; never 0 or 100, which no model can know."""
    return "< 1" if p < 0.01 else "> 99" if p > 0.99 else f"{100 * p:.0f}"


def event(of: str) -> str:
    """Return how a screen writes the probability of an event."""
    return f"P({of})"


def networks(members: Sequence[float], total: int) -> str:
    """Return how far the networks of a probability lie apart; nothing where there is one alone. It is no interval."""
    named = some_of(len(members), total) or f"{len(members)} networks"
    low, high = percent(min(members)), percent(max(members))
    said = low if low == high else f"{low}–{high}" if " " not in low + high else f"{low} to {high}"
    return f"{named} say {said} %" if len(members) > 1 else ""


def some_of(seen: int, total: int) -> str:
    """Return ``2 of 3 networks`` while they take turns; nothing where all have read the picture."""
    return f"{seen} of {total} networks" if seen < total else ""


def undecided(one: str, other: str) -> str:
    """Return what is said of two grades that are almost as probable."""
    return f"undecided between {short(one)} and {short(other)}"


def purpose(heads: Sequence[HeadSpec]) -> str:
    """Return what the numbers of a model are, and what they are not; an eGFR is spoken of only where there is one."""
    if not heads:
        return f"{ANY_PURPOSE} {ANY_CAUTION}"
    main = heads[0]
    if isinstance(main, RegressionHead) and main.quantity == "egfr":
        return f"{PURPOSE} {CAUTION}"
    what = event(main.event) if isinstance(main, ProbabilityHead) else main.title
    said = "" if "image-derived" in what.lower() else "image-derived "
    kidney = isinstance(main, ProbabilityHead) and main.quantity == "egfr_below_60"
    named = f"{what}: {said}estimate, research use." if len(what) <= LONG_NAME else ANY_PURPOSE
    return f"{named} {CAUTION if kidney else ANY_CAUTION}"


def short(name: str) -> str:
    """Return a name that may stand inside a sentence; bundles may give eighty characters."""
    return name if len(name) <= LONG_NAME else f"{name[: LONG_NAME - 1].rstrip()}…"


LENGTH_BASES = {"dicom": "file", "ruler": "ruler", "printed": "result", "operator": "typed"}
USUAL_CM = (8.0, 13.5)  # of an adult's kidney, 9 to 13 cm and a little for the hand; what no kidney has is refused


def length(length_cm: float | None, basis: str, known: Sequence[str] = ()) -> str:
    """Return the kidney's length, between what it was measured, by what, and whether that is usual in an adult.

    ``basis`` is 'calipers' or 'poles'; ``known`` names all that gave a length, which agree where a number is shown.
    """
    between = BETWEEN.get(basis, basis)
    if length_cm is None:
        return f"Length unknown: no depth scale ({between})"
    by = " = ".join(LENGTH_BASES[name] for name in known)
    usual = "" if USUAL_CM[0] <= length_cm <= USUAL_CM[1] else f", usual {USUAL_CM[0]:g}–{USUAL_CM[1]:g}"
    said = ", ".join(part for part in ("" if basis == "calipers" and by else between, by) if part)
    return f"Kidney length {length_cm:.1f} cm ({said}){usual}"


def age(age_ms: float) -> str:
    """Return an age in seconds; tenths while it is young."""
    return f"{age_ms / 1000:.1f} s" if age_ms < 950 else f"{age_ms / 1000:.0f} s"


def count(number: int, noun: str) -> str:
    """Return ``1 reading`` or ``7 readings``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def retry(attempt: int, in_s: float) -> str:
    """Return when something that was lost is tried again; a whole second is enough for an eye."""
    if in_s <= 0.0:
        return f"Trying again (attempt {attempt}) …"
    return f"Trying again in {ceil(in_s)} s (attempt {attempt})."


CHOICES = {"handles": "the handles", "length": "the typed length", "image": "the choice of the image"}


def forgotten(lost: Sequence[str], because: str) -> str:
    """Return what is said of choices that did not outlive a restart; nothing where all did."""
    if not lost:
        return ""
    named = [CHOICES[one] for one in lost]
    things = " and ".join([", ".join(named[:-1]), named[-1]] if named[1:] else named)
    return f"After the restart {because}: set {things} anew."


def repeated(for_ms: float) -> str:
    """Return what is said of a live picture in which nothing has moved, not even a clock."""
    return (
        f"The very same picture for {for_ms / 1000:.0f} s, and no clock in it moves: is the scanner frozen, or does "
        "the grabber repeat its last picture?"
    )
