"""The sentences of the window. Clinic-and-paper 5.3: say range and interval, never 'stage', never 'detected'."""

from __future__ import annotations

from math import floor

UNIT = "mL/min/1.73 m²"
PURPOSE = "Image-derived eGFR estimate, research use."
CAUTION = "One time point: CKD needs 3 months' persistence. Confirm with serum creatinine."
BIAS = "Tends to read too high in kidney failure and too low in normal function."
HEADS_DISAGREE = "Heads disagree: inconclusive."
OUTSIDE = "out of domain"
OUT_OF_DOMAIN = "OUT OF DOMAIN: do not rely on this"
MAP_CAPTION = "where the network looked, not a lesion map"
SYNTHETIC_MODEL = "SYNTHETIC MODEL: no patient's value"
SYNTHETIC_PICTURE = "SYNTHETIC PICTURE: no patient's value"
PLACE_HINT = "Touch the two ends of the kidney, or drag the handles there. Enter: use them as they are."
IN_USE = "Handles in use instead of calipers."
FOLLOW_NOT = " They do not follow the kidney."

ABOVE = 60.0  # mL/min/1.73 m2: from here on the model resolves little, and many labs print no value either


def rounded(egfr: float) -> str:
    """Return a value as a whole number, halves upwards; the heads are linear and can fall below zero."""
    return str(max(0, floor(egfr + 0.5)))


def headline(egfr: float) -> str:
    """Return the number that is read at 1 m.

    From 60 mL/min/1.73 m2 on the value steps back behind ">=60", itself set smaller: there the published
    model has a bias of -20 to -58 and a 90 % half width of 100 (clinic-and-paper 1.7), and laboratories report
    MDRD as ">60".
    """
    return f"≥{ABOVE:.0f}" if egfr >= ABOVE else rounded(egfr)


def interval(low: float, high: float, level: float | None) -> str:
    """Return ``28–64 (90 %)``; the level is left out where it is not known."""
    return f"{rounded(low)}–{rounded(high)}" + (f" ({100 * level:.0f} %)" if level is not None else "")


def categories(category_range: str) -> str:
    """Return ``G3a–G4`` with a typographer's dash."""
    return category_range.replace("-", "–")


def probability(p: float) -> str:
    """Return P(eGFR < 60) in percent; never 0 or 100, which no model can know."""
    percent = "< 1" if p < 0.01 else "> 99" if p > 0.99 else f"{100 * p:.0f}"
    return f"P(eGFR < 60)  {percent} %"


def length(length_cm: float | None, basis: str) -> str:
    """Return the kidney's length and between what it was measured; ``basis`` is 'calipers' or 'poles'."""
    between = "handles" if basis == "poles" else basis
    if length_cm is None:
        return f"Length unknown: no depth scale ({between})"
    return f"Kidney length {length_cm:.1f} cm ({between})"


def age(age_ms: float) -> str:
    """Return an age in seconds; tenths while it is young."""
    return f"{age_ms / 1000:.1f} s" if age_ms < 950 else f"{age_ms / 1000:.0f} s"


def count(number: int, noun: str) -> str:
    """Return ``1 reading`` or ``7 readings``."""
    return f"{number} {noun}" + ("" if number == 1 else "s")
