"""A watched folder: what appears is shown once it is complete, the newest first, and nothing is touched."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.capture import watched
from edge_app.capture.base import Frame, FrameSource, SourceError, Waiting
from edge_app.capture.open import endless, open_source
from edge_app.capture.watched import WatchedFolder


def picture(grey: int, size: tuple[int, int] = (40, 30)) -> bytes:
    good, data = cv2.imencode(".png", np.full((size[1], size[0], 3), grey, np.uint8))
    assert good
    return data.tobytes()


def put(path: Path, grey: int, age_s: float = 0.0) -> None:
    path.write_bytes(picture(grey))
    when = time.time() - age_s
    os.utime(path, (when, when))


def greys(source: WatchedFolder, seconds: float) -> list[int]:
    """What is shown in so long."""
    end_s, seen = time.monotonic() + seconds, []
    while time.monotonic() < end_s:
        got = source.read()
        if isinstance(got, Frame):
            seen.append(int(got.pixels[0, 0, 0]))
    return seen


def until(source: WatchedFolder, grey: int, timeout_s: float = 5.0) -> Frame:
    end_s = time.monotonic() + timeout_s
    while time.monotonic() < end_s:
        got = source.read()
        if isinstance(got, Frame) and abs(int(got.pixels[0, 0, 0]) - grey) <= 3:
            return got
    raise AssertionError(f"no picture of grey {grey}")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "LOOK_S", 0.04)
    monkeypatch.setattr(watched, "SETTLE_S", 0.1)
    monkeypatch.setattr(watched, "SHOWN_S", 0.1)


@pytest.fixture
def source(tmp_path: Path, quick: None) -> Iterator[WatchedFolder]:
    made = open_source(f"watch:{tmp_path}")
    assert isinstance(made, WatchedFolder)
    with made as entered:
        yield entered


def test_what_was_there_before_is_passed_over_but_for_the_newest(tmp_path: Path, quick: None) -> None:
    put(tmp_path / "old.png", 1, age_s=60)
    put(tmp_path / "newest.png", 2, age_s=30)
    put(tmp_path / "DICOMDIR", 0)  # a name that may be a picture, and is none
    (tmp_path / "DICOMDIR").write_bytes(b"no picture")
    with WatchedFolder(tmp_path) as source:
        assert greys(source, 0.6) == [2]


def test_a_file_that_comes_is_shown_and_then_it_is_waited_again(tmp_path: Path, source: WatchedFolder) -> None:
    waiting = source.read()
    assert isinstance(waiting, Waiting) and "no new file" in waiting.reason
    put(tmp_path / "a.png", 7)
    frame = until(source, 7)
    assert frame.index == 0 and not frame.pixels.flags.writeable
    assert greys(source, 0.4) == []
    put(tmp_path / "a.png", 9)
    later = until(source, 9)
    assert later.index == 1 and later.t_ms > frame.t_ms


def test_of_several_the_newest_is_first_and_stays(tmp_path: Path, source: WatchedFolder) -> None:
    for grey in (1, 2, 3):
        put(tmp_path / f"{grey}.png", grey, age_s=10 - grey)
    assert greys(source, 1.5) == [3, 2, 1, 3]


@pytest.mark.parametrize("ending", [".png", ".jpg"])
def test_a_file_is_shown_when_it_is_complete_and_not_before(tmp_path: Path, source: WatchedFolder, ending: str) -> None:
    """Half a JPEG can be decoded: it would show half a kidney."""
    noise = np.random.default_rng(1).integers(0, 90, (300, 400, 3)).astype(np.uint8)
    noise[:20, :20] = 50
    good, data = cv2.imencode(ending, noise)
    assert good
    whole = data.tobytes()
    pieces = [whole[start : start + len(whole) // 3] for start in range(0, len(whole), len(whole) // 3)]
    with (tmp_path / f"slow{ending}").open("wb") as file:
        for piece in pieces[:-1]:
            file.write(piece)
            file.flush()
            assert greys(source, 0.25) == []
        file.write(pieces[-1])
    until(source, 50)


def test_a_file_under_a_working_name_is_shown_once_it_has_its_own(tmp_path: Path, source: WatchedFolder) -> None:
    put(tmp_path / "b.png.part", 8)
    put(tmp_path / ".b.png", 8)
    assert greys(source, 0.4) == []
    (tmp_path / "b.png.part").rename(tmp_path / "b.png")
    until(source, 8)


def test_folders_inside_are_looked_into(tmp_path: Path, source: WatchedFolder) -> None:
    study = tmp_path / "2026" / "study"
    study.mkdir(parents=True)
    put(study / "1.png", 11)
    until(source, 11)


def test_a_damaged_file_is_tried_again_and_then_passed_over(
    tmp_path: Path, source: WatchedFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched, "MOST_TRIES", 3)
    tried: list[Path] = []
    known = watched._source

    def noted(path: Path) -> FrameSource:
        tried.append(path)
        return known(path)

    monkeypatch.setattr(watched, "_source", noted)
    (tmp_path / "bad.dcm").write_bytes(bytes(128) + b"DICM" + b"garbage")
    assert greys(source, 1.5) == []
    assert tried == [tmp_path / "bad.dcm"] * 3
    put(tmp_path / "good.png", 5)
    until(source, 5)


def test_what_is_no_file_or_no_picture_harms_nothing(tmp_path: Path, source: WatchedFolder) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "empty.png").touch()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "none")
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert greys(source, 0.4) == []
    put(tmp_path / "good.png", 6)
    until(source, 6)


def test_a_clip_is_played_and_left_for_a_newer_file(tmp_path: Path, source: WatchedFolder) -> None:
    inside = tmp_path / ".clip.avi"
    writer = cv2.VideoWriter(str(inside), cv2.VideoWriter.fourcc(*"MJPG"), 20.0, (64, 48))
    for _ in range(200):
        writer.write(np.full((48, 64, 3), 100, np.uint8))
    writer.release()
    inside.rename(tmp_path / "clip.avi")
    first = until(source, 100)
    assert until(source, 100).index > first.index, "it plays"
    put(tmp_path / "new.png", 30)
    until(source, 30, timeout_s=3.0)
    assert greys(source, 0.5) == []


def test_a_folder_that_vanishes_is_said_and_nothing_was_changed_in_it(tmp_path: Path, quick: None) -> None:
    folder = tmp_path / "share"
    folder.mkdir()
    put(folder / "a.png", 3)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with WatchedFolder(folder) as source:
        until(source, 3)
        assert {path: path.read_bytes() for path in folder.iterdir()} == before
        folder.rename(tmp_path / "gone")
        with pytest.raises(SourceError, match="there is no such folder"):
            greys(source, 1.0)


def test_mistakes_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no path was given"):
        open_source("watch:")
    (tmp_path / "file").write_text("x")
    with pytest.raises(SourceError, match="it is a file"), open_source(f"watch:{tmp_path / 'file'}"):
        pass
    with pytest.raises(SourceError, match="no such folder"), open_source(f"watch:{tmp_path / 'none'}"):
        pass
    assert endless(f"watch:{tmp_path}")
