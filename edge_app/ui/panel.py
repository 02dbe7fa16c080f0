"""Panel: everything that the readout says at one moment, derived from what the window knows. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from edge_app.live.messages import Lost
from edge_app.live.report import CropReport, FrameReport, Readout
from edge_app.ui import wording
from edge_app.ui.situation import Situation
from edge_app.ui.words import Words, line_of, words_of

# Of the picture alone. WAITING: pictures come, but nothing has been said of them for a while.
BadgeState = Literal["STARTING", "LIVE", "FROZEN", "WAITING", "LOST", "RECOVERING", "ENDED", "FAILED"]

# A report older than this vouches for nothing: the worker analyses several frames a second even on a slow CPU,
# and a stale result must be greyed within 1 s (clinic-and-paper 4.3).
REPORT_TRUST_MS = 1000.0

PASSING = ("busy", "torn_frame")  # the next frame is expected to be read

# A clock on the scanner's screen has moved by then, even one without seconds.
REPEATED_MS = 65_000.0


@dataclass(frozen=True, slots=True)
class Number:
    """A readout in words; always of a named frame."""

    main: Words
    others: tuple[tuple[str, str], ...]  # name and value of the heads beside the main one
    length: str  # of the kidney, and between what it was measured
    frame: str  # of the newest reading: 'frame 12'
    basis: str  # readings, frame, age
    stale: str  # 'STALE 3 s' or empty
    in_domain: bool  # False: shown only because that was asked for
    networks: str = ""  # '2 of 3 networks' while they take turns, else empty

    @property
    def headline(self) -> str:
        """The main number; one out of domain is doubted in its very figure."""
        return self.main.headline + ("" if self.in_domain else "?")


@dataclass(frozen=True, slots=True)
class Panel:
    """Number or notice, never both large: ``last`` is the former number, small, under a notice.

    ``badge`` speaks of the picture, ``stale`` and ``age`` of the number or of ``last``: after un-freeze the
    picture is LIVE while the value beside it is old.
    """

    badge: BadgeState
    number: Number | None = None
    notice: str = ""  # what stands in place of a number: a refusal, a loss, a wait
    notice_title: str = ""
    last: str = ""  # without its age
    name: str = ""  # what the number or the former one is: 'eGFR'
    age: str = ""  # of the number or of the former one; empty where there is neither
    stale: bool = False
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
    panel = Panel(badge(now), synthetic=now.synthetic, cautions=_cautions(now, report))
    readout = report.readout
    if readout is None or not _stands(report):
        reason = report.refusal.reason if report.refusal else "Waiting for a reading of this picture."
        refused = replace(panel, notice=sentence(reason), notice_title="No number", cautions=())
        return refused if readout is None else _with_last(refused, now, readout)
    age = wording.age(_age_ms(now, readout))
    number = _number(now, report, readout)
    return replace(panel, number=number, name=number.main.name, age=age, stale=_is_stale(now))


def badge(now: Situation) -> BadgeState:
    """Return the one word for the state of the picture; the value's own state stands with the value."""
    if now.report is None or now.ended:
        return "ENDED" if now.ended else "STARTING"
    if now.report.state == "LOST":
        return "LOST"
    if now.report_age_ms > REPORT_TRUST_MS:
        return "WAITING"
    return "FROZEN" if now.report.frozen else "LIVE"


def sentence(text: str) -> str:
    """Return text with a capital and a full stop, as it stands alone on screen."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "…", "!", "?")) else ".")


def _blocked(now: Situation) -> Panel | None:
    if now.failed is not None and now.failed.scope != "model":
        return Panel("FAILED", None, sentence(now.failed.sentence), "Stopped")
    if now.lost is not None:
        return _lost(now, now.lost)
    if now.failed is not None:
        return Panel(badge(now), None, sentence(now.failed.sentence), "No model")
    if not now.has_frame:
        return Panel("STARTING", None, "Waiting for the first picture …", "Starting")
    return None


def _lost(now: Situation, lost: Lost) -> Panel:
    """Say what was lost, and when it is tried again."""
    retry_s = now.retry_in_s
    if now.recovering is None or retry_s is None:
        return Panel("LOST", None, sentence(lost.reason), "LOST")
    reason = f"{sentence(now.recovering.reason)} {wording.retry(now.recovering.attempt, retry_s)}"
    return Panel("RECOVERING", None, reason, "LOST")


def _stands(report: FrameReport) -> bool:
    """Whether the readout of a report is to be shown: a busy model or a torn frame says nothing against the last."""
    return report.refusal is None or (report.refusal.code in PASSING and report.readout is not None)


def _age_ms(now: Situation, readout: Readout) -> float:
    return readout.age_ms if now.ended else readout.age_ms + now.report_age_ms


def _is_stale(now: Situation) -> bool:
    if now.report is None or now.report.readout is None or not _stands(now.report):
        return False
    return now.report.readout.stale or (not now.ended and now.report_age_ms > REPORT_TRUST_MS)


def _number(now: Situation, report: FrameReport, readout: Readout) -> Number:
    age = wording.age(_age_ms(now, readout))
    stale = _is_stale(now)
    some = wording.some_of(readout.members_seen, readout.members_total)
    basis = (some, wording.count(readout.readings, "reading"), f"frame {readout.frame}", "" if stale else f"{age} old")
    return Number(
        main=_words(now, readout),
        others=tuple(line_of(value) for value in readout.values[1:]),
        length=_length(report.crop),
        frame=f"frame {readout.frame}",
        basis="  ·  ".join(part for part in basis if part),
        stale=f"STALE {age}" if stale else "",
        in_domain=readout.in_domain,
        networks=some,
    )


def _words(now: Situation, readout: Readout) -> Words:
    main = readout.values[0]
    some = readout.members_seen < readout.members_total
    return words_of(main, now.head(main.head), readout.members_total if some else None)


def _length(crop: CropReport | None) -> str:
    return wording.length(crop.length_cm, crop.basis, tuple(crop.lengths_cm)) if crop is not None else ""


def _with_last(panel: Panel, now: Situation, readout: Readout) -> Panel:
    """Add the former number to a notice."""
    words = _words(now, readout)
    doubt = "" if readout.in_domain else f"{wording.OUTSIDE}, "
    last = f"{words.former}, {doubt}frame {readout.frame}"
    return replace(panel, last=last, name=words.name, age=wording.age(_age_ms(now, readout)), stale=readout.stale)


def _cautions(now: Situation, report: FrameReport) -> tuple[str, ...]:
    found: list[str] = []
    live = now.source is not None and now.source.live and not now.ended
    if live and report.repeated_ms > REPEATED_MS:
        found.append(wording.repeated(report.repeated_ms))
    if report.readout is not None and report.readout.note:
        found.append(sentence(report.readout.note))
    if report.readout is not None and not report.readout.heads_agree:
        found.append(wording.HEADS_DISAGREE)
    if report.quality is not None and report.quality.faults:
        found.append(sentence(report.quality.faults[0][1]))
    return tuple(found)
