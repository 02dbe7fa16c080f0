"""Analyse a recording without a window: the live pipeline inline, one JSON object a frame, then a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from edge_app.atomic import explained, replacing
from edge_app.capture.base import Frame, FrameSource, SourceError, frames
from edge_app.capture.open import endless, open_source
from edge_app.imaging.redact import read_words
from edge_app.imaging.thresholds import load_thresholds
from edge_app.live import reports
from edge_app.live.medians import median_values
from edge_app.live.messages import ModelSummary, Poles, SourceSummary
from edge_app.live.model import ModelPlan, open_model
from edge_app.live.pipeline import Outcome, Pipeline, PipelineSettings
from edge_app.live.proposing import open_proposer
from edge_app.live.report import State, Values
from edge_app.live.reports import line, summary_of
from edge_app.snapshot import Shot, check_snapshot, write_snapshot
from engines.errors import UsageError
from engines.reading import Reader
from engines.values import Value

ENDLESS_FRAMES = 300  # of a source that never ends: ten seconds at 30 frames/s
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class AnalyzePlan:
    """What ``echogfr analyze`` was asked for. None: no limit, no file, or the app's own choice."""

    source: str
    model: ModelPlan = field(default_factory=ModelPlan)
    poles: Poles | None = None
    jsonl: Path | None = None  # "-": standard output
    snapshot: Path | None = None
    without_ocr: bool = False  # consent: words inside the image are not looked for before the snapshot is written
    max_frames: int | None = None
    seconds: float | None = None  # of the stream's own time
    allow_out_of_domain: bool = False
    quality: Path | None = None  # own limits of the quality gate
    length_cm: float | None = None  # of the kidney, as the scanner shows it
    localizer: Path | str | None = None  # None: the one that ships with the app; "off": none


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BundleFacts(_Model):
    """Which bundle gave the numbers."""

    id: str
    version: str
    sha256: str  # of its manifest
    synthetic: bool


class MedianReading(_Model):
    """Medians over all readings of the recording, one value a head, the main one first."""

    values: Values


class Summary(_Model):
    """The last object of the output: the whole recording in numbers."""

    summary: Literal[True] = True
    frames: int
    interrupted: bool
    broke_off: str | None = None  # why a live source ended before its time: one sentence
    states: dict[State, int]
    refusals: dict[str, int]  # frames by code
    readings: int  # frames with a reading
    readings_out_of_domain: int  # of these: shown because it was asked for, not to be relied on
    median_reading: MedianReading | None
    latency_ms: dict[str, dict[str, float]]  # by stage: p50, p95, p99
    runtime: str
    provider: str
    precision: str
    readings_by_runtime: dict[str, int] = {}  # what gave them: more than one where a server was away
    note: str = ""  # in place of what failed engine it read, with the operator's consent
    selection: tuple[str, ...]
    bundle: BundleFacts
    source: SourceSummary


def analyze(plan: AnalyzePlan, progress: Callable[[int], None] | None = None) -> Summary:
    """Run a source through the pipeline; files appear complete or not at all.

    Ctrl-C ends the recording early: the summary then says ``interrupted``. A live source that breaks off after its
    first frame ends it too: ``broke_off`` then says why.

    Raises
    ------
    EchoGFRError
        Source, bundle or an output file cannot be used.
    """
    if plan.snapshot is not None:
        check_snapshot(plan.snapshot, None if plan.without_ocr else read_words)
    tally, limits = _Tally(), load_thresholds(plan.quality)
    with ExitStack() as stack:
        write = stack.enter_context(_lines(plan.jsonl))
        model, source = stack.enter_context(open_model(plan.model)), stack.enter_context(open_source(plan.source))
        told = summary_of(source)
        settings = PipelineSettings(plan.allow_out_of_domain, stills=told.stills, thresholds=limits)
        pipeline = stack.enter_context(_pipeline(plan, model.reader, settings))
        with tally.ending(source):
            for frame in _frames(source, plan):
                outcome = pipeline.process(frame)
                write(line(outcome.report))
                tally.add(frame, outcome)
                if progress is not None:
                    progress(tally.frames)
        last = line(_summary(tally, model.summary, told))
        write(last)
    if plan.snapshot is not None:
        write_snapshot(tally.shot(plan), plan.snapshot, None if plan.without_ocr else read_words)
    return Summary.model_validate_json(last)  # as it was written, number for number


@contextmanager
def _pipeline(plan: AnalyzePlan, reader: Reader, settings: PipelineSettings) -> Iterator[Pipeline]:
    """Give the live pipeline, with what the plan says of the picture, and with a proposer of poles of its own."""
    with open_proposer(plan.localizer, plan.model.signatures, stills=settings.stills) as proposer:
        pipeline = Pipeline(reader, settings, proposer=proposer)
        if plan.poles is not None:
            pipeline.set_poles(plan.poles)
        pipeline.set_length(plan.length_cm)
        yield pipeline


def _frames(source: FrameSource, plan: AnalyzePlan) -> Iterator[Frame]:
    unlimited = plan.max_frames is None and plan.seconds is None
    limit = ENDLESS_FRAMES if unlimited and endless(plan.source) else plan.max_frames
    for frame in islice(frames(source), limit):
        if plan.seconds is not None and frame.t_ms > plan.seconds * 1000:
            return
        yield frame


@dataclass(slots=True)
class _Tally:
    """What has been seen so far; keeps the one frame that the snapshot may show."""

    frames: int = 0
    interrupted: bool = False
    broke_off: str | None = None
    states: Counter[State] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    readings: list[tuple[Value, ...]] = field(default_factory=list)  # without maps, which would fill the memory
    out_of_domain: int = 0
    runtimes: Counter[str] = field(default_factory=Counter)
    timings_ms: dict[str, list[float]] = field(default_factory=dict)
    _shown: tuple[Frame, Outcome] | None = None

    def add(self, frame: Frame, outcome: Outcome) -> None:
        report = outcome.report
        self.frames += 1
        self.states[report.state] += 1
        if report.refusal is not None:
            self.refusals[report.refusal.code] += 1
        if outcome.reading is not None:
            self.readings.append(tuple(replace(value, map=None) for value in outcome.reading.values))
            self.out_of_domain += not outcome.reading.in_domain
            self.runtimes[outcome.reading.runtime] += 1
        for stage, took_ms in report.timings_ms.items():
            self.timings_ms.setdefault(stage, []).append(took_ms)
        if report.reading is not None or not self.readings:
            self._shown = frame, outcome

    @contextmanager
    def ending(self, source: FrameSource) -> Iterator[None]:
        """Note why the recording ends before its time: Ctrl-C, or a live source that breaks off."""
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True
        except SourceError as error:
            if not (source.info.live and self.frames):
                raise
            self.broke_off = error.sentence

    def shot(self, plan: AnalyzePlan) -> Shot:
        if self._shown is None:
            raise UsageError(f"{plan.snapshot} cannot be written", "the source gave no frame", "check the source")
        frame, outcome = self._shown
        return Shot(frame.pixels, outcome.sector, outcome.report)


def _summary(tally: _Tally, model: ModelSummary, source: SourceSummary) -> Summary:
    return Summary(
        frames=tally.frames,
        interrupted=tally.interrupted,
        broke_off=tally.broke_off,
        states=dict(tally.states),
        refusals=dict(tally.refusals.most_common()),
        readings=len(tally.readings),
        readings_out_of_domain=tally.out_of_domain,
        median_reading=_median(tally.readings),
        latency_ms={stage: _percentiles(took) for stage, took in tally.timings_ms.items()},
        runtime=model.runtime,
        provider=model.provider,
        precision=model.precision,
        readings_by_runtime=dict(tally.runtimes.most_common()),
        note=model.note,
        selection=model.selection,
        bundle=BundleFacts(id=model.bundle_id, version=model.version, sha256=model.sha256, synthetic=model.synthetic),
        source=source,
    )


def _median(readings: list[tuple[Value, ...]]) -> MedianReading | None:
    if not readings:
        return None
    return MedianReading(values=tuple(reports.value(value) for value in median_values(readings, widened=False)))


def _percentiles(values: list[float]) -> dict[str, float]:
    found = np.percentile(values, PERCENTILES).tolist()
    return {f"p{percent}": round(value, 3) for percent, value in zip(PERCENTILES, found, strict=True)}


@contextmanager
def _lines(path: Path | None) -> Iterator[Callable[[str], None]]:
    """Give a function that writes a line; the file takes its name only when everything is in it."""
    if path is None:
        yield lambda line: None
        return
    if str(path) == "-":
        yield print
        return
    with replacing(path) as unfinished:
        with explained(path):
            file = unfinished.open("w", encoding="utf-8")
        try:
            yield lambda line: _write(file, line, path)
        finally:
            with explained(path):  # closing writes what was still held back
                file.close()


def _write(file: IO[str], line: str, path: Path) -> None:
    with explained(path):
        file.write(line + "\n")
