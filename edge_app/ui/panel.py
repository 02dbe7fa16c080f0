"""Panel: everything that the readout says at one moment, derived from what the window knows. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from edge_app.live.report import FrameReport, Readout
from edge_app.ui import wording
from edge_app.ui.situation import Situation

BadgeState = Literal["STARTING", "LIVE", "FROZEN", "STALE", "LOST", "ENDED", "FAILED"]

# A report older than this vouches for nothing: the worker analyses several frames a second even on a slow CPU,
# and a stale result must be greyed within 1 s (clinic-and-paper 4.3).
REPORT_TRUST_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Number:
    """A readout in words; always of a named frame."""

    headline: str
    beside: str  # the value, small, where the headline is only '>= 60'; else empty
    interval: str
    categories: str
    probability: str
    basis: str  # readings, frame, age
    stale: str  # 'STALE 3 s' or empty


@dataclass(frozen=True, slots=True)
class Panel:
    """Number or notice, never both large: ``last`` is the former number, small, under a notice."""

    badge: BadgeState
    number: Number | None = None
    notice: str = ""  # what stands in place of a number: a refusal, a loss, a wait
    notice_title: str = ""
    last: str = ""
    cautions: tuple[str, ...] = ()
    synthetic: str | None = None


def describe(now: Situation) -> Panel:
    """Say what the readout shows. The order is that of severity: failed, lost, no frame, refused, number."""
    blocked = _blocked(now)
    if blocked is not None:
        return replace(blocked, synthetic=now.synthetic if now.model else None)
    report = now.report
    if report is None:
        notice = "Reading the picture …" if now.source is not None else "Opening the model …"
        return Panel(badge(now), None, notice, "No number yet")
    panel = Panel(badge(now), synthetic=now.synthetic, cautions=_cautions(report))
    readout = report.readout
    if readout is None or not _stands(report):
        reason = report.refusal.reason if report.refusal else "Waiting for a reading of this picture."
        return replace(panel, notice=sentence(reason), notice_title="No number", last=_last(now, readout), cautions=())
    return replace(panel, number=_number(now, readout))


def badge(now: Situation) -> BadgeState:
    """Return the one word for the state of picture and number together."""
    if now.report is None or now.ended:
        return "ENDED" if now.ended else "STARTING"
    if now.report.state in ("LIVE", "FROZEN") and _is_stale(now):
        return "STALE"
    return now.report.state


def sentence(text: str) -> str:
    """Return text with a capital and a full stop, as it stands alone on screen."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…", "!", "?")) else ".")


def _blocked(now: Situation) -> Panel | None:
    if now.failed is not None and now.failed.scope != "model":
        return Panel("FAILED", None, sentence(now.failed.sentence), "Stopped")
    if now.lost is not None:
        return Panel("LOST", None, sentence(now.lost.reason), "LOST")
    if now.failed is not None:
        return Panel(badge(now), None, sentence(now.failed.sentence), "No model")
    if not now.has_frame:
        return Panel("STARTING", None, "Waiting for the first picture …", "Starting")
    return None


def _stands(report: FrameReport) -> bool:
    """Whether the readout of a report is to be shown: a busy model says nothing against its last numbers."""
    return report.refusal is None or (report.refusal.code == "busy" and report.readout is not None)


def _age_ms(now: Situation, readout: Readout) -> float:
    return readout.age_ms if now.ended else readout.age_ms + now.report_age_ms


def _is_stale(now: Situation) -> bool:
    if now.report is None or now.report.readout is None or not _stands(now.report):
        return False
    return now.report.readout.stale or (not now.ended and now.report_age_ms > REPORT_TRUST_MS)


def _number(now: Situation, readout: Readout) -> Number:
    age = wording.age(_age_ms(now, readout))
    stale = _is_stale(now)
    above = readout.egfr >= wording.ABOVE
    return Number(
        headline=wording.headline(readout.egfr),
        beside=f"estimate {wording.rounded(readout.egfr)}" if above else "",
        interval=wording.interval(readout.low, readout.high, now.level),
        categories=readout.category_range,
        probability=wording.probability(readout.p_egfr_below_60),
        basis=f"{wording.count(readout.readings, 'reading')}  ·  frame {readout.frame}"
        + ("" if stale else f"  ·  {age} old"),
        stale=f"STALE {age}" if stale else "",
    )


def _last(now: Situation, readout: Readout | None) -> str:
    if readout is None:
        return ""
    value = wording.headline(readout.egfr)
    range_ = wording.interval(readout.low, readout.high, now.level)
    return f"Before: {value}, {range_}, frame {readout.frame}, {wording.age(_age_ms(now, readout))} ago"


def _cautions(report: FrameReport) -> tuple[str, ...]:
    found: list[str] = []
    if report.readout is not None and not report.readout.heads_agree:
        found.append(wording.HEADS_DISAGREE)
    if report.readout is not None and not report.readout.in_domain:
        found.append(wording.OUT_OF_DOMAIN)
    if report.quality is not None and report.quality.faults:
        found.append(sentence(report.quality.faults[0][1]))
    return tuple(found)
