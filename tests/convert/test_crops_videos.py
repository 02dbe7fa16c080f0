"""Crops come out of videos where a report or a table gives the poles, and neighbours are not counted twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.crops import read_crops
from convert.progress import silent
from engines.errors import UsageError
from engines.manifest import InputSpec
from engines.preprocess import crop_box, extract
from engines.synthetic_mark import draw

from .crops_makers import SIDE, SPEC, picture, read, refused, report_line, write_report, write_table, write_video

POLES = (20.0, 40.0, 60.0, 40.0)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a set of one crop pass: its size is not what is tested here."""
    monkeypatch.setattr("convert.crops.gather.CALIBRATION_MINIMUM", 1)


def moving(count: int) -> list[NDArray[np.uint8]]:
    """A picture that moves as a kidney under a probe: by 2 grey levels a frame, never by a whole new view."""
    base = picture(1, 100, 80) // 2 + 20
    return [np.asarray(base + 2 * at, np.uint8) for at in range(count)]


def cut(frame: NDArray[np.uint8], poles: Sequence[float] = POLES) -> bytes:
    return extract(frame, crop_box((poles[0], poles[1]), (poles[2], poles[3]), "square"), SIDE, SIDE).tobytes()


def crops_of(source: Path) -> set[bytes]:
    return {pixels.tobytes() for pixels in read(source).pixels}


def test_crops_are_cut_where_the_report_has_poles_half_a_second_apart(tmp_path: Path) -> None:
    frames = moving(30)
    clip = write_video(tmp_path / "clip.avi", frames)
    lines = [report_line(at, None if at < 5 else POLES) for at in range(30)]
    write_report(tmp_path / "clip.jsonl", lines)
    assert crops_of(clip) == {cut(frames[at]) for at in (5, 15, 25)}
    assert crops_of(tmp_path) == crops_of(clip), "a folder of videos"


def test_the_interval_can_be_chosen(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.avi", moving(21))
    write_report(tmp_path / "clip.jsonl", [report_line(at, POLES) for at in range(21)])
    assert len(read_crops(clip, SPEC, (), 1, silent, every_s=0.25)) == 5
    assert len(read_crops(clip, SPEC, (), 1, silent, every_s=0.0)) == 11, "2 grey levels are the same picture"


def test_a_frozen_picture_is_one_crop_however_long_and_another_view_is_one_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    first, second = picture(1, 100, 80), picture(2, 100, 80)

    def noisy(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(np.clip(frame + rng.integers(-2, 3, frame.shape), 0, 255), np.uint8)

    frames = [noisy(first) for _ in range(33)] + [noisy(second) for _ in range(5)]
    clip = write_video(tmp_path / "clip.avi", frames)
    write_report(tmp_path / "clip.jsonl", [report_line(at, POLES) for at in range(38)])
    assert crops_of(clip) == {cut(frames[0]), cut(frames[33])}


def test_what_the_app_refused_for_the_picture_is_left_out_and_for_the_model_is_not(tmp_path: Path) -> None:
    codes = ["calipers_moving", "quality_dark", "out_of_domain", None, "phantom_picture", "no_model"]
    frames = [picture(at, 100, 80) for at in range(6)]
    clip = write_video(tmp_path / "clip.avi", frames)
    write_report(tmp_path / "clip.jsonl", [report_line(at, POLES, code) for at, code in enumerate(codes)])
    crops = read(clip)
    assert {pixels.tobytes() for pixels in crops.pixels} == {cut(frames[at]) for at in (2, 3, 4, 5)}
    assert any(text.startswith("2 frames of videos were left out") for text in crops.remarks)
    assert crops.counts.patients == 1, "every video is one patient"


def test_a_table_gives_patients_scanners_labels_and_fixed_poles(tmp_path: Path) -> None:
    first, second = picture(1, 100, 80), picture(2, 100, 80)
    write_video(tmp_path / "a.avi", [first] * 3)
    write_video(tmp_path / "b.avi", [second] * 3)
    write_video(tmp_path / "c.avi", [second] * 3)
    write_report(tmp_path / "b.jsonl", [report_line(at, (10, 10, 50, 10)) for at in range(3)])
    fixed = {"x1": "20", "y1": "40", "x2": "60", "y2": "40"}
    rows = [
        {"video": "a.avi", "patient": "Jane", "scanner": "E9", "egfr": "47", **fixed},
        {"video": "b.avi", "patient": "Jane", "scanner": "E9", "egfr": "", **dict.fromkeys(fixed, "")},
    ]
    write_table(tmp_path / "videos.csv", rows)
    crops = read(tmp_path)
    assert {pixels.tobytes() for pixels in crops.pixels} == {cut(first), cut(second, (10, 10, 50, 10))}
    assert crops.counts.patients == 1 and crops.counts.by_scanner[0].name == "E9"
    assert sorted(crops.truth["egfr"].tolist(), key=str) == pytest.approx([47.0, np.nan], nan_ok=True)
    assert "1 videos are not in videos.csv and were left out." in crops.remarks
    assert crops_of(tmp_path / "a.avi") == {cut(first)}, "one video of the table"


def test_all_that_is_wrong_with_videos_is_in_one_sentence(tmp_path: Path) -> None:
    for name in "abcdef":
        write_video(tmp_path / f"{name}.avi", [picture(1, 100, 80)] * 2)
    lines = [report_line(at, POLES) for at in range(2)]
    write_report(tmp_path / "b.jsonl", lines, size=(640, 480))
    write_report(tmp_path / "c.jsonl", lines, summary=False)
    (tmp_path / "d.jsonl").write_text('{"frame": 1}\n')
    write_report(tmp_path / "e.jsonl", [*lines, report_line(7, POLES)])
    (tmp_path / "f.avi").write_bytes(b"no video")
    (tmp_path / "g.mp4").write_text("no video but a text that is long enough to be one\n" * 20)
    said = refused(tmp_path)
    for text in (
        "videos have neither poles in videos.csv nor a report beside them",
        "(echogfr analyze VIDEO --jsonl REPORT) (a.avi)",
        "reports are of another picture size than their video (b.avi)",
        "reports are cut short (c.avi)",
        "reports cannot be read (d.avi)",
        "reports speak of frames that their video lacks (e.avi)",
        "videos cannot be decoded (f.avi, g.mp4)",
    ):
        assert text in said, text


def test_all_that_is_wrong_with_a_table_of_videos_is_in_one_sentence(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", [picture(1, 100, 80)] * 2)
    ends = {"x1": "20", "y1": "40", "x2": "60", "y2": "40"}
    rows = [
        {"video": "a.avi", "patient": "1", **ends, "x2": "100"},
        {"video": "absent.avi", "patient": "2", **ends},
        {"video": "a.avi", "patient": "3", **ends},
        {"video": "", "patient": "4", **ends},
        {"video": "b.avi", "patient": "", **ends},
    ]
    write_table(tmp_path / "videos.csv", rows)
    said = refused(tmp_path)
    for text in (
        "markers lie outside of the picture (line 2)",
        "videos cannot be decoded (line 3)",
        "videos are there twice (lines 2 and 4)",
        "no video is named (line 5)",
        "no patient is given (line 6)",
    ):
        assert text in said, text


def test_videos_without_crops_are_counted(tmp_path: Path) -> None:
    for name, poles in (("a", POLES), ("b", None)):
        write_video(tmp_path / f"{name}.avi", [picture(1, 100, 80)] * 2)
        write_report(tmp_path / f"{name}.jsonl", [report_line(at, poles) for at in range(2)])
    assert "1 videos gave no crop." in read(tmp_path).remarks
    said = refused(tmp_path / "b.avi")
    assert "it holds 0 and at least 1 are needed (2 frames of videos show no length markers (echogfr analyze" in said
    assert "1 videos gave no crop)" in said


def test_a_tight_crop_of_a_standing_kidney_is_left_out_of_a_video(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.avi", [picture(at, 100, 80) for at in range(3)])
    lines = [report_line(at, (40, 20, 41, 60) if at else POLES) for at in range(3)]
    write_report(tmp_path / "a.jsonl", lines)
    tight = InputSpec(name="c", height=SIDE, width=SIDE, crop_mode="legacy_tight")
    crops = read(clip, spec=tight)
    assert len(crops) == 1 and any(text.startswith("2 frames of videos were left out") for text in crops.remarks)


def test_a_recording_of_the_phantom_is_known_by_its_mark(tmp_path: Path) -> None:
    frame = picture(1, 320, 240)
    draw(frame)
    clip = write_video(tmp_path / "a.avi", [frame] * 2)
    write_report(tmp_path / "a.jsonl", [report_line(at, POLES) for at in range(2)], size=(320, 240))
    write_table(tmp_path / "videos.csv", [{"video": "a.avi", "egfr": "40"}])
    crops = read(clip)
    assert crops.simulated and not crops.labelled("egfr").any()


def test_cancelling_ends_in_the_middle_of_a_video(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.avi", moving(20))
    write_report(tmp_path / "a.jsonl", [report_line(at, POLES) for at in range(20)])
    seen: list[tuple[str, int, int]] = []

    def cancel(*told: object) -> None:
        seen.append(told)  # type: ignore[arg-type]
        if len(seen) == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_crops(clip, SPEC, (), 1, cancel)
    assert seen[-1] == ("reading video 1 of 1", 7, 20)


def test_real_clips_give_one_crop_of_a_frozen_picture_and_some_of_a_moving_one(
    shared_data: Path, tmp_path: Path
) -> None:
    spec = InputSpec(name="crops", height=224, width=224, crop_mode="square")
    frozen, moves = "sonosite_frozen_calipers.mp4", "philips_ruq_convex_gallbladder.mp4"
    clips = {frozen: (485, 369, 570, 379), moves: (300, 150, 480, 200)}
    counted = {}
    for name, poles in clips.items():
        folder = tmp_path / name
        ends = dict(zip(("x1", "y1", "x2", "y2"), map(str, poles), strict=True))
        write_table(folder / "videos.csv", [{"video": str(shared_data / "clips" / name), "patient": "1", **ends}])
        counted[name] = len(read(folder, spec=spec))
    assert counted[frozen] == 1, "4 s, frozen"
    assert 15 <= counted[moves] <= 24, "10 s, moving, a cut in the middle"


def test_reports_of_a_later_version_are_read_for_what_is_needed(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "a.avi", [picture(1, 100, 80)] * 2)
    line = {"frame": 0, "t_ms": 0, "crop": {"poles": POLES, "new": 1}, "refusal": None, "heads": [], "new": {"a": 1}}
    summary = {"summary": True, "new": 1}
    (tmp_path / "a.jsonl").write_text(f"{json.dumps(line)}\n{json.dumps(summary)}\n")
    assert len(read(clip)) == 1


def test_bgr_of_opencv_is_turned_round(tmp_path: Path) -> None:
    red = np.zeros((80, 100, 3), np.uint8)
    red[..., 0] = 250
    clip = write_video(tmp_path / "a.avi", [red, red])
    write_report(tmp_path / "a.jsonl", [report_line(0, POLES)])
    pixels = read(clip).pixels[0]
    assert pixels[5, 5, 0] > 240 > 10 > pixels[5, 5, 2]


def test_a_video_that_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such folder or file"):
        read(tmp_path / "absent.mp4")
