"""What the heads say in plain ASCII words, for terminals and captions; how many digits a number is given."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10

from edge_app.live.report import GradesReport, ProbabilityReport, RegressionReport, ValueReport
from engines.manifest import HeadSpec, ProbabilityHead, RegressionHead

MOST_DIGITS = 6
CLOSE = 0.1  # the two most probable grades this near to each other are undecided
NO_INTERVAL = "no interval: not calibrated"


def digits_of(resolution: float) -> int:
    """Return how many decimals show the smallest difference that matters: 1 -> 0, 0.5 and 0.1 -> 1."""
    return min(MOST_DIGITS, max(0, ceil(-log10(resolution) - 1e-9)))


def amount(value: float, resolution: float) -> str:
    """Return a number with as many decimals as its resolution has, halves upwards."""
    digits = digits_of(resolution)
    return f"{floor(value * 10**digits + 0.5) / 10**digits:.{digits}f}"


def chance(p: float) -> str:
    """Return a probability with two decimals; never 0 or 1, which no model can know."""
    return "<0.01" if p < 0.01 else ">0.99" if p > 0.99 else f"{p:.2f}"


def undecided(value: GradesReport) -> tuple[str, str] | None:
    """Return the two most probable grades, lower one first, if they are within 0.1 of each other."""
    first, second = sorted(range(len(value.p)), key=lambda at: -value.p[at])[:2]
    if value.p[first] - value.p[second] > CLOSE + 1e-9:
        return None
    return value.grades[min(first, second)], value.grades[max(first, second)]


def phrase(value: ValueReport, *, main: bool) -> str:
    """Return what one head says; the main one says what it is for as well."""
    if isinstance(value, RegressionReport):
        return _regression(value, main)
    if isinstance(value, ProbabilityReport):
        event = "eGFR<60" if value.quantity == "egfr_below_60" else _ascii(value.event)
        return f"P({event}){_purpose(main)} {chance(value.p)}"
    named = zip(value.grades, value.p, strict=True)
    shares = ", ".join(f"{_ascii(grade)} {chance(p)}" for grade, p in named)
    pair = undecided(value)
    said = f"undecided between {pair[0]} and {pair[1]}" if pair else f"most probable {value.grade}"
    return f"{_ascii(value.title)}{_purpose(main)}: {_ascii(said)} ({shares})"


def phrases(values: Sequence[ValueReport]) -> list[str]:
    """Return one phrase a head, the main one first."""
    return [phrase(value, main=at == 0) for at, value in enumerate(values)]


def declared(head: HeadSpec) -> str:
    """Return what a bundle declares of a head, in one line."""
    with_map = ", with map" if head.map is not None else ""
    if isinstance(head, RegressionHead):
        interval = NO_INTERVAL if head.interval is None else f"{head.interval.level:.0%} interval"
        return f"{head.name}: {head.title}, {head.unit}, {interval}{with_map}"
    if isinstance(head, ProbabilityHead):
        return f"{head.name}: probability of '{head.event}'{with_map}"
    return f"{head.name}: {head.title}, probabilities of {', '.join(head.grades)}{with_map}"


def _regression(value: RegressionReport, main: bool) -> str:
    name = f"{_ascii(value.title)}{_purpose(main)}"
    if value.quantity == "egfr":
        name = f"image-derived eGFR estimate{' (research use)' * main}"
    parts = [f"{name} {amount(value.value, value.resolution)} {_ascii(value.unit)}", NO_INTERVAL]
    if value.low is not None and value.high is not None and value.level is not None:
        low, high = (amount(end, value.resolution) for end in (value.low, value.high))
        parts[1] = f"{value.level:.0%} interval {low} to {high}"
    return ", ".join([*parts, *([_ascii(value.categories)] if value.categories else [])])


def _purpose(main: bool) -> str:
    return " (image-derived, research use)" if main else ""


def _ascii(text: str) -> str:
    """Return a manifest's words as the plainest font can draw them."""
    return text.replace("²", "2").replace("³", "3").encode("ascii", "replace").decode()
