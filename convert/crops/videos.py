"""Videos: crops between the poles that a report of ``echogfr analyze`` or a table ``videos.csv`` gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from convert.crops.clip import VIDEOS, Clip, Thinning, open_clip
from convert.crops.intake import Intake, text_of
from convert.crops.labels import ENDS, ends_of
from convert.crops.pictures import Ends, cut, fault_of
from convert.crops.reports import Report, ReportError, read_report
from convert.crops.sample import Facts, Pixels
from convert.csvfile import CsvTable
from convert.synthetic import says_synthetic
from engines import synthetic_mark
from engines.errors import UsageError

EMPTY = "{} videos gave no crop."
REFUSED = "{} frames of videos were left out because the app refused them for what the picture shows."
BARE = "{} frames of videos show no length markers (echogfr analyze --poles X1,Y1,X2,Y2 or videos.csv names the ends)."
STEEP = "{} frames of videos were left out because their poles allow no crop of this mode."
NO_POLES = "videos have neither poles in videos.csv nor a report beside them (echogfr analyze VIDEO --jsonl REPORT)"
UNDECODABLE = "videos cannot be decoded"


@dataclass(frozen=True, slots=True)
class _Video:
    path: Path
    facts: Facts
    ends: Ends | None  # fixed poles; None: as the report says


def take_listed(root: Path, table: CsvTable, intake: Intake) -> None:
    """Take the videos that a table names."""
    videos, seen = list[_Video](), dict[str, int]()
    for at, row in enumerate(table.rows):
        facts, first = intake.facts(table, at, row["video"]), seen.setdefault(row["video"], table.lines[at])
        if first != table.lines[at]:
            intake.wrong("videos are there twice", f"lines {first} and {table.lines[at]}")
        elif not row["video"]:
            intake.wrong("no video is named", f"line {table.lines[at]}")
        elif facts is not None:
            fixed = ends_of(row, table.comma) if text_of(row, *ENDS) else None
            videos.append(_Video(root / row["video"], facts, fixed))
    _take(root, videos, intake)


def take_videos(root: Path, files: Sequence[Path], intake: Intake) -> None:
    """Take videos that no table names: each has its report beside it and is a patient of its own."""
    _take(root, [_Video(path, _own(path, intake), None) for path in files], intake)


def videos_in(folder: Path) -> list[Path]:
    """Return the videos of a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEOS and not path.name.startswith("."))


def _own(path: Path, intake: Intake) -> Facts:
    return Facts(intake.place(path.name), intake.unnamed(path.name), named=False)


def _take(root: Path, videos: Sequence[_Video], intake: Intake) -> None:
    simulated = says_synthetic(root)
    for number, video in enumerate(videos, start=1):
        before = len(intake.samples)
        with open_clip(video.path) as clip:
            if clip is None:
                intake.defects.add(UNDECODABLE, video.facts.where)
                continue
            plan = _plan(video, clip, intake)
            if plan is None:
                continue
            thinning, stage = Thinning(intake.every_s), f"reading video {number} of {len(videos)}"
            for t_ms, pixels, ends, crop in _crops(video, clip, plan, intake, stage):
                if thinning.takes(t_ms, crop):
                    marked = simulated or synthetic_mark.present(pixels)
                    again = partial(cut, ends=ends, spec=intake.spec)
                    intake.add_cut(pixels, crop, again, video.facts, marked)
        if len(intake.samples) == before:
            intake.lose(EMPTY)


def _plan(video: _Video, clip: Clip, intake: Intake) -> Report | Ends | None:
    """Return where the crops lie: by frame, or the same in all; None, and a defect, where that is not known."""
    if video.ends is not None:
        fault = fault_of(video.ends, clip.size, intake.spec)
        if fault is not None:
            intake.defects.add(fault, video.facts.where)
        return video.ends if fault is None else None
    path = video.path.with_suffix(".jsonl")
    if not path.is_file():
        intake.defects.add(NO_POLES, video.facts.where)
        return None
    try:
        report = read_report(path)
    except ReportError as error:
        intake.defects.add(str(error), video.facts.where)
        return None
    if report.size not in (None, clip.size):
        intake.defects.add("reports are of another picture size than their video", video.facts.where)
        return None
    if report.refused:
        intake.lose(REFUSED, report.refused)
    if report.bare:
        intake.lose(BARE, report.bare)
    return report


def _crops(
    video: _Video, clip: Clip, plan: Report | Ends, intake: Intake, stage: str
) -> Iterator[tuple[float, Pixels, Ends, Pixels]]:
    """Yield time (milliseconds), frame, poles and crop wherever there are poles."""
    poles = plan.poles if isinstance(plan, Report) else None
    last, index = clip.frames - 1 if poles is None else max(poles, default=-1), -1
    for index, pixels in clip.read(poles):
        intake.report(stage, index + 1, max(last, index) + 1)
        ends, t_ms = _at(plan, clip, index)
        if pixels is not None and ends is not None:
            try:
                yield t_ms, pixels, ends, cut(pixels, ends, intake.spec)
            except UsageError:
                intake.lose(STEEP)
        if poles is not None and index >= last:
            break
    if index < 0:
        intake.defects.add(UNDECODABLE, video.facts.where)
    elif poles is not None and index < last:
        intake.defects.add("reports speak of frames that their video lacks", video.facts.where)


def _at(plan: Report | Ends, clip: Clip, index: int) -> tuple[Ends | None, float]:
    """Return poles and time of a frame."""
    if isinstance(plan, Report):
        return plan.poles.get(index), plan.t_ms.get(index, clip.t_ms(index))
    return plan, clip.t_ms(index)
