"""Situation: what the window knows at one moment, and how a message changes it. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge_app.live.messages import (
    Counts,
    Ended,
    Failed,
    Lost,
    Message,
    ModelSummary,
    Opened,
    Recovered,
    Recovering,
    Report,
    SetAgain,
    SourceSummary,
    Started,
)
from edge_app.live.report import FrameReport
from edge_app.ui import wording
from engines.manifest import HeadSpec


@dataclass(frozen=True, slots=True)
class Situation:
    """Facts only; what is said about them is the panel's. Replaced, never changed."""

    now_ms: float = 0.0  # the window's clock
    model: ModelSummary | None = None
    source: SourceSummary | None = None
    report: FrameReport | None = None
    report_at_ms: float = 0.0  # when it arrived
    generation: int = 0  # reports of an older one are not taken in
    has_frame: bool = False  # a picture is on screen
    lost: Lost | None = None
    recovering: Recovering | None = None  # what was lost is being tried again
    recovering_at_ms: float = 0.0  # when that was said
    failed: Failed | None = None
    ended: bool = False
    forgotten: str = ""  # what did not outlive a restart, until the operator sets something
    localizer: str = ""  # what proposes poles, or why nothing does

    @property
    def report_age_ms(self) -> float:
        """Time since the newest report arrived."""
        return max(0.0, self.now_ms - self.report_at_ms)

    @property
    def retry_in_s(self) -> float | None:
        """Seconds until what was lost is tried again, 0 while that is under way; None if nothing is tried."""
        if self.recovering is None:
            return None
        return max(0.0, self.recovering.wait_s - (self.now_ms - self.recovering_at_ms) / 1000)

    def head(self, name: str) -> HeadSpec | None:
        """Return what the model's bundle declares of a head, if it is known."""
        heads = self.model.heads if self.model is not None else ()
        return next((head for head in heads if head.name == name), None)

    @property
    def synthetic(self) -> str | None:
        """The mark that every number must carry, or None: an unknown model counts as synthetic."""
        reading = self.report.reading if self.report else None
        if self.model is None or self.model.synthetic or (reading is not None and reading.synthetic):
            return wording.SYNTHETIC_MODEL
        simulated = self.source is not None and self.source.uri.startswith("phantom:")
        return wording.SYNTHETIC_PICTURE if simulated else None


def follow(now: Situation, message: Message) -> Situation:
    """Return the situation after a message of the worker or the supervisor."""
    if isinstance(message, Report):
        return _after_report(now, message.report)
    if isinstance(message, Started):
        return _after_start(now, message)
    if isinstance(message, Lost):
        return replace(now, lost=message, recovering=None, report=None)  # a number that nobody vouches for must go
    if isinstance(message, Recovering):
        return replace(now, recovering=message, recovering_at_ms=now.now_ms)
    if isinstance(message, Recovered):
        return replace(now, lost=None, recovering=None, report=None)  # what is left was said of a picture before
    if isinstance(message, Opened):
        return replace(now, source=message.source)
    if isinstance(message, Counts):
        return now
    if isinstance(message, SetAgain):
        return replace(now, forgotten=wording.forgotten(message.lost, message.because))
    if isinstance(message, Ended):
        return replace(now, ended=True)
    return replace(now, failed=message, report=None)


def after_command(now: Situation, generation: int) -> Situation:
    """Return the situation after a command: the number on screen belongs to the crop of before."""
    return replace(now, generation=generation, report=None, forgotten="")


def _after_start(now: Situation, message: Started) -> Situation:
    """Begin anew, but for a model that failed to open: that is said before the start, and stays true."""
    fresh = Situation(now.now_ms, message.model, message.source, generation=now.generation, has_frame=now.has_frame)
    fresh = replace(fresh, localizer=message.localizer)
    return replace(fresh, failed=now.failed) if message.model is None else fresh


def _after_report(now: Situation, report: FrameReport) -> Situation:
    if report.generation < now.generation:
        return now
    return replace(now, report=report, report_at_ms=now.now_ms)
