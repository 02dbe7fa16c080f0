"""Run: each file on its own; one that cannot be made safe is refused, and the others go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge_app.atomic import explained, replacing
from edge_app.capture.base import SourceError
from edge_app.deidentify.dicom import write_dicom
from edge_app.deidentify.files import REPORT, Job, jobs
from edge_app.deidentify.pictures import write_still, write_video
from edge_app.deidentify.plan import DeidentifyPlan, RefusedFileError, Rules, Tick
from edge_app.deidentify.report import Code, FileReport, Report
from edge_app.imaging.redact import Redactor, ResidueError, require_reader
from engines.errors import EchoGFRError
from engines.version import program_version

Progress = Callable[[int, int, int], None]  # files done, files in all, frames looked at in the present one
Said = Callable[[Job, EchoGFRError], None]
PROFILE = "DICOM PS3.15 2026c annex E, Basic Application Level Confidentiality Profile"
CLEAN = ", Clean Pixel Data"  # only where words were looked for


def deidentify(plan: DeidentifyPlan, progress: Progress | None = None, said: Said | None = None) -> Report:
    """Write deidentified copies; each appears complete or not at all, the originals are never touched.

    ``said`` is told of each file that is refused. Ctrl-C ends the run early: what was complete stays, and the report
    says ``interrupted``.

    Raises
    ------
    UsageError
        Nothing can be copied to where it was asked for, or words cannot be read here and nobody consented to that.
    """
    work, folder = jobs(plan)
    if plan.rules.read is not None:
        require_reader()
    done: list[FileReport] = []
    interrupted = False
    try:
        for job in work:
            done.append(_one(job, plan.rules, _ticking(progress, len(done), len(work)), said))
    except KeyboardInterrupt:
        interrupted = True
    report = Report(
        program=f"EchoGFR {program_version()}",
        profile=PROFILE + (CLEAN if plan.rules.read is not None else ""),
        dates=plan.rules.dates,
        words_checked=plan.rules.read is not None,
        interrupted=interrupted,
        files=tuple(done),
    )
    if folder is not None and (folder.is_dir() or not interrupted):
        _write(report, folder)
    return report


def _ticking(progress: Progress | None, done: int, total: int) -> Tick:
    frames = 0

    def tick() -> None:
        nonlocal frames
        frames += 1
        if progress is not None:
            progress(done, total, frames)

    return tick


def _one(job: Job, rules: Rules, tick: Tick, said: Said | None) -> FileReport:
    tick()
    if job.kind == "other":
        return FileReport(number=job.number, kind=job.kind, outcome="left out")
    try:
        return _written(job, rules, tick)
    except (RefusedFileError, ResidueError, SourceError) as error:
        if said is not None:
            said(job, error)
        return FileReport(number=job.number, kind=job.kind, outcome="refused", refusal=_code(error))


def _written(job: Job, rules: Rules, tick: Tick) -> FileReport:
    with explained(job.copy):
        job.copy.parent.mkdir(parents=True, exist_ok=True)
    removed = 0
    if job.kind == "dicom":
        redactor, frames, removed = write_dicom(job.original, job.copy, rules, tick)
    else:
        write = write_still if job.kind == "still" else write_video
        redactor, frames = write(job.original, job.copy, rules, tick)
    return _report(job, redactor, frames, removed)


def _report(job: Job, redactor: Redactor, frames: int, removed: int) -> FileReport:
    return FileReport(
        number=job.number,
        kind=job.kind,
        outcome="written",
        file=job.copy.name,
        frames=frames,
        shown=round(float(redactor.keep.mean()), 3),
        hidden=len(redactor.hidden),
        residue="passed" if redactor.reads else "not run",
        inspected=redactor.inspected,
        burned_in_annotation=("NO" if redactor.reads else "YES") if job.kind == "dicom" else None,
        removed=removed,
    )


def _code(error: EchoGFRError) -> Code:
    if isinstance(error, RefusedFileError):
        return error.code
    return "words-remain" if isinstance(error, ResidueError) else "unreadable"


def _write(report: Report, folder: Path) -> None:
    path = folder / REPORT
    with explained(path):
        folder.mkdir(parents=True, exist_ok=True)
    with replacing(path) as unfinished, explained(path):
        unfinished.write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
