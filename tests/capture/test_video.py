"""Video files and stills: every frame, in RGB, with its own time, or one sentence."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.capture.base import FrameSource, SourceError
from edge_app.capture.open import open_source


def write_video(path: Path, frames: int = 10, fps: float = 20.0, size: tuple[int, int] = (64, 48)) -> Path:
    """A video whose frame k is plain RED for even k and BLUE for odd k (BGR in, as OpenCV wants)."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
    for index in range(frames):
        colour = (0, 0, 255) if index % 2 == 0 else (255, 0, 0)
        writer.write(np.full((size[1], size[0], 3), colour, np.uint8))
    writer.release()
    return path


def read_all(source: FrameSource) -> list[object]:
    with source:
        return list(iter(source.read, None))


def test_every_frame_comes_once_in_rgb_with_rising_times(tmp_path: Path) -> None:
    with open_source(f"file:{write_video(tmp_path / 'clip.avi')}") as source:
        frames = list(iter(source.read, None))
        assert source.info.size == (64, 48)
        assert source.info.fps == pytest.approx(20.0)
        assert not source.info.live
    assert [frame.index for frame in frames] == list(range(10))
    assert [frame.t_ms for frame in frames] == pytest.approx([50.0 * k for k in range(10)], abs=1.0)
    assert frames[0].pixels[20, 20, 0] > 200 > 60 > frames[0].pixels[20, 20, 2], "the first frame is red"
    assert frames[1].pixels[20, 20, 2] > 200 > 60 > frames[1].pixels[20, 20, 0], "the second is blue"


def test_nobody_can_change_a_frame(tmp_path: Path) -> None:
    with open_source(str(write_video(tmp_path / "clip.avi"))) as source:
        frame = source.read()
    assert frame is not None
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0, 0] = 1


def test_in_real_time_a_clip_takes_its_own_time(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", frames=6, fps=20.0)
    start = time.monotonic()
    assert len(read_all(open_source(str(path), realtime=True))) == 6
    took_s = time.monotonic() - start
    assert 0.24 <= took_s < 1.0, "five frame periods of 50 ms"


def test_a_still_is_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "still.png"
    cv2.imwrite(str(path), np.full((30, 40, 3), (255, 0, 0), np.uint8))  # BGR: blue
    with open_source(str(path)) as source:
        frame = source.read()
        assert source.read() is None
    assert frame is not None
    assert frame.pixels.shape == (30, 40, 3)
    assert tuple(frame.pixels[5, 5]) == (0, 0, 255)
    assert not frame.pixels.flags.writeable


def test_a_numbered_still_is_not_the_start_of_a_sequence(tmp_path: Path) -> None:
    for index in range(3):
        cv2.imwrite(str(tmp_path / f"img_{index:02}.png"), np.zeros((20, 20, 3), np.uint8))
    assert len(read_all(open_source(str(tmp_path / "img_00.png")))) == 1


def test_a_grey_still_becomes_rgb(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((10, 12), 77, np.uint8))
    with open_source(str(path)) as source:
        frame = source.read()
    assert frame is not None
    assert frame.pixels.shape == (10, 12, 3)
    assert np.all(frame.pixels == 77)


@pytest.mark.parametrize(
    ("name", "content", "because"),
    [
        ("none.mp4", None, "there is no such file"),
        ("empty.mp4", b"", "the file is empty"),
        ("noise.mp4", bytes(range(256)) * 20, "it is no video or is damaged"),
        ("letter.txt", b"Dear colleague,\n" * 400, "it is no video or is damaged"),
        ("broken.png", b"\x89PNG\r\n\x1a\n" + b"x" * 100, "damaged"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, content: bytes | None, because: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError) as caught, open_source(f"file:{path}"):
        pass
    assert because in caught.value.sentence
    assert "\n" not in caught.value.sentence
    assert capfd.readouterr().err == "", "no library may complain past us"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="it is a folder"), open_source(f"file:{tmp_path}"):
        pass


def test_a_clip_cut_short_ends_early_but_ends(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "clip.avi", frames=40)
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with open_source(str(cut)) as source:
        frames = list(iter(source.read, None))
    assert 0 < len(frames) < 40


@pytest.mark.parametrize(
    ("clip", "frames", "size", "step_ms"),
    [
        ("philips_ruq_convex_gallbladder.mp4", 201, (800, 450), 50.0),
        ("sonosite_frozen_calipers.mp4", 100, (960, 720), 40.0),
    ],
)
def test_real_clips_come_whole(
    shared_data: Path, clip: str, frames: int, size: tuple[int, int], step_ms: float
) -> None:
    times = []
    with open_source(str(shared_data / "clips" / clip)) as source:
        assert source.info.size == size
        while (frame := source.read()) is not None:
            times.append(frame.t_ms)
    assert len(times) == frames
    assert np.allclose(np.diff(times), step_ms, atol=1.0)
