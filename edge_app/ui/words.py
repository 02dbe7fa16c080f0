"""Words: what the heads of a model say, as the readout writes it. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

from edge_app.live.phrases import undecided
from edge_app.live.report import GradesReport, ProbabilityReport, RegressionReport, ValueReport
from edge_app.ui import wording
from engines.kdigo import CATEGORIES
from engines.manifest import HeadSpec, RegressionHead

KDIGO = tuple(reversed(CATEGORIES))  # G1 first


@dataclass(frozen=True, slots=True)
class Ramp:
    """The ranges of a head from left to right, and those that the value touches."""

    names: tuple[str, ...]
    inside: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One grade: its probability 0..1, and that in words."""

    name: str
    p: float
    percent: str
    top: bool


@dataclass(frozen=True, slots=True)
class Words:
    """The main head in words; what a kind of head does not say is empty."""

    name: str  # short, for a line of text: 'eGFR', 'P(event)'
    headline: str  # the number that is read at 1 m
    former: str  # value and range on one line, for when it has been refused since
    title: str = ""  # over the number, where the window is not known for it
    sign: str = ""  # '%', right behind the number
    modest: bool = False  # the number is a bound and steps back: '≥60', '> 99'
    beside: str = ""  # 'estimate 74', the event, or the grade
    unit: str = ""
    detail: str = ""  # interval, or how far the networks lie apart
    calibrated: bool = False  # the detail is an interval
    categories: str = ""  # 'G3a–G4'
    ramp: Ramp | None = None
    bars: tuple[Bar, ...] = ()


def words_of(value: ValueReport, head: HeadSpec | None, total: int | None = None) -> Words:
    """Return the main head in words; ``head`` is what the bundle declares of it, None where that is not known.

    ``total``: members of the model, where fewer may have made the value; None: all have.
    """
    of = len(value.members) if total is None else total
    if isinstance(value, RegressionReport):
        return _egfr(value) if value.quantity == "egfr" else _regression(value, head)
    return _probability(value, of) if isinstance(value, ProbabilityReport) else _grades(value, of)


def line_of(value: ValueReport) -> tuple[str, str]:
    """Return name and value of a head that is not the main one."""
    if isinstance(value, ProbabilityReport):
        return wording.event(value.event), f"{wording.percent(value.p)} %"
    if isinstance(value, GradesReport):
        return value.title, _said(value)
    number, unit = wording.figure(value.value, value.resolution), value.unit
    if value.quantity == "egfr":
        number, unit = wording.headline(value.value), wording.UNIT
    return value.title, f"{number} {unit}, {_interval(value) or 'no interval'}"


def members(categories: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the categories that a text such as ``G3a-G4`` spans, in the order of ``names``; none if it names none."""
    for first in range(len(names)):
        for last in range(first, len(names)):
            one, other = names[first], names[last]
            if categories in (f"{one}-{other}", f"{other}-{one}") or categories == one == other:
                return names[first : last + 1]
    return ()


def _egfr(value: RegressionReport) -> Words:
    headline, interval = wording.headline(value.value), _interval(value)
    inside = members(value.categories, KDIGO)
    above = value.value >= wording.ABOVE
    return Words(
        name="eGFR",
        headline=headline,
        former=", ".join(part for part in (headline, interval) if part),
        modest=above,
        beside=f"estimate {wording.rounded(value.value)}" if above else "",
        unit=wording.UNIT,
        detail=interval or wording.NO_INTERVAL,
        calibrated=bool(interval),
        categories=_spanned(inside),
        ramp=Ramp(KDIGO, inside),
    )


def _regression(value: RegressionReport, head: HeadSpec | None) -> Words:
    headline, interval = wording.figure(value.value, value.resolution), _interval(value)
    names = head.categories if isinstance(head, RegressionHead) else ()
    inside = members(value.categories, names)
    return Words(
        name=value.title,
        headline=headline,
        former=", ".join(part for part in (f"{headline} {value.unit}", interval) if part),
        title=value.title,
        unit=value.unit,
        detail=interval or wording.NO_INTERVAL,
        calibrated=bool(interval),
        categories=_spanned(inside) or value.categories,
        ramp=Ramp(names, inside) if inside else None,
    )


def _probability(value: ProbabilityReport, total: int) -> Words:
    headline, event = wording.percent(value.p), wording.event(value.event)
    return Words(
        name=event,
        headline=headline,
        former=f"{headline} %",
        title="" if value.title in (event, value.event) else value.title,
        sign="%",
        modest=" " in headline,
        beside=event,
        detail=wording.networks(value.members, total),
    )


def _grades(value: GradesReport, total: int) -> Words:
    headline, pair = wording.percent(value.p[value.top]), undecided(value)
    named = enumerate(zip(value.grades, value.p, strict=True))
    return Words(
        name=value.title,
        headline=headline,
        former=_said(value),
        title=value.title,
        sign="%",
        modest=" " in headline,
        beside=wording.undecided(*pair) if pair else value.grade,
        detail=wording.some_of(len(value.members), total),
        bars=tuple(Bar(grade, p, f"{wording.percent(p)} %", at == value.top) for at, (grade, p) in named),
    )


def _said(value: GradesReport) -> str:
    pair = undecided(value)
    return wording.undecided(*pair) if pair else f"{value.grade} {wording.percent(value.p[value.top])} %"


def _spanned(inside: tuple[str, ...]) -> str:
    """Return ``G3a–G4`` with a typographer's dash, or the one category."""
    return "–".join(dict.fromkeys((inside[0], inside[-1]))) if inside else ""


def _interval(value: RegressionReport) -> str:
    """Return the interval in words, or nothing where the head was not calibrated."""
    if value.low is None or value.high is None or value.level is None:
        return ""
    if value.quantity == "egfr":
        return wording.interval(wording.rounded(value.low), wording.rounded(value.high), value.level)
    low, high = (wording.figure(end, value.resolution) for end in (value.low, value.high))
    return wording.interval(low, high, value.level)
