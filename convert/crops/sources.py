"""Sources, told by what lies there: pictures, a table of crops or frames, videos, or a set that was collected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from convert.crops.clip import VIDEOS
from convert.crops.dataset import require_same, stored_facts, verify
from convert.crops.intake import Intake
from convert.crops.labels import ENDS, take_labels
from convert.crops.pictures import PICTURES, take_pictures
from convert.crops.videos import take_listed, take_videos, videos_in
from convert.csvfile import CsvTable, read_csv
from convert.synthetic import says_synthetic
from engines.errors import UsageError

LABELS, VIDEO_TABLE = "labels.csv", "videos.csv"
UNLISTED = "{} videos are not in videos.csv and were left out."
WAYS = "give pictures, labels.csv with a column crop or frame, or videos with their reports"


def unusable(source: Path | str) -> str:
    """Return what fails, for a sentence."""
    return f"{source} cannot serve as calibration crops"


def take(source: Path, intake: Intake) -> None:
    """Hand all crops of a source to ``intake``.

    Raises
    ------
    UsageError
        There is nothing that could be read as a source, or it holds several kinds at once.
    """
    intake.begin(source.name)
    if source.is_dir():
        _take_folder(source, intake)
    elif not source.exists():
        raise UsageError(unusable(source), "there is no such folder or file", "name another")
    elif source.suffix.lower() == ".csv":
        _take_table(source, intake)
    elif source.suffix.lower() in VIDEOS:
        _take_video(source, intake)
    else:
        raise UsageError(unusable(source), "it is no folder, no table and no video", WAYS)


def _take_folder(folder: Path, intake: Intake) -> None:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    pictures = [path for path in files if path.suffix.lower() in PICTURES]
    found = {
        LABELS: (folder / LABELS).is_file(),
        VIDEO_TABLE: (folder / VIDEO_TABLE).is_file(),
        "videos": bool(videos_in(folder)),
        "pictures": bool(pictures),
    }
    found["videos"] = found["videos"] and not found[VIDEO_TABLE]  # they are what the table names
    kinds = [name for name, there in found.items() if there]
    if LABELS in kinds and kinds[1:] == ["pictures"]:
        kinds = [LABELS]  # pictures beside their table
    if len(kinds) != 1:
        because = f"it holds {' and '.join(kinds)}" if kinds else "nothing in it can be read as crops"
        raise UsageError(unusable(folder), because, "put each into a folder of its own" if kinds else WAYS)
    if kinds == ["pictures"]:
        take_pictures(folder, pictures, says_synthetic(folder), intake)
    elif kinds == ["videos"]:
        take_videos(folder, videos_in(folder), intake)
    else:
        _take_table(folder / kinds[0], intake)


def _take_table(path: Path, intake: Intake) -> None:
    what = unusable(path)
    table = read_csv(path, what)
    if not table.rows:
        raise UsageError(what, "it has no rows", WAYS)
    if "video" in table.columns:
        take_listed(path.parent, table, intake)
        others = {video.name for video in videos_in(path.parent)} - {row["video"] for row in table.rows}
        if others:
            intake.lose(UNLISTED, len(others))
    elif "crop" in table.columns or table.columns >= {"frame", *ENDS}:
        _take_crops(path.parent, table, intake)
    else:
        lacking = "columns x1, y1, x2, y2 beside frame" if "frame" in table.columns else "column crop, frame or video"
        raise UsageError(what, f"it has no {lacking}", WAYS)


def _take_crops(root: Path, table: CsvTable, intake: Intake) -> None:
    stored, before = stored_facts(root), len(intake.samples)
    if stored is not None:
        require_same(root, stored, intake.spec)
        intake.collected = stored.sha256[:12]
    take_labels(root, table, intake)
    if stored is not None and not intake.defects:
        verify(root, stored, intake.samples[before:])
        for sentence in stored.remarks:
            intake.say(sentence)


def _take_video(path: Path, intake: Intake) -> None:
    listed = path.parent / VIDEO_TABLE
    if listed.is_file():
        table = read_csv(listed, unusable(listed))
        at: Sequence[int] = [at for at, row in enumerate(table.rows) if row.get("video") == path.name]
        if at:
            chosen = CsvTable(table.raw, [table.lines[i] for i in at], [table.rows[i] for i in at], table.comma)
            take_listed(path.parent, chosen, intake)
            return
    take_videos(path.parent, [path], intake)
