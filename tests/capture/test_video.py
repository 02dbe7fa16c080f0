"""Video files and stills: every frame, in RGB, with its own time, or one sentence."""

from __future__ import annotations

import itertools
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge_app.capture.base import Frame, FrameSource, SourceError, frames
from edge_app.capture.clock import StreamClock
from edge_app.capture.open import open_source

U8 = NDArray[np.uint8]


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


WIDTH, HEIGHT = 96, 64


def plain(luma: int, cb: int = 128, cr: int = 128) -> U8:
    """Planes of one colour as they are stored: Y, then Cb and Cr of a quarter each, (H * 3 / 2, W)."""
    quarter = WIDTH * HEIGHT // 4
    flat = np.repeat(np.array([luma, cb, cr], np.uint8), [4 * quarter, quarter, quarter])
    return flat.reshape(HEIGHT * 3 // 2, WIDTH)


def encoded(path: Path, stored: list[U8], options: dict[str, str] | None = None, **stated: object) -> Path:
    """A video of stored planes; ``stated`` goes into its header."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=options or {})
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = WIDTH, HEIGHT, "yuv420p", 8_000_000
        for name, value in stated.items():
            setattr(stream.codec_context, name, value)
        for index, planes in enumerate(stored):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def frames_of(path: Path) -> list[Frame]:
    with open_source(str(path)) as source:
        return list(frames(source))


@pytest.mark.parametrize(
    ("stated", "rgb"),
    [
        # Y 100, Cr 200: R = Y' + 2 (1 - Kr) Cr', G less by the same share, by hand from BT.601 and BT.709
        ({}, (213, 39, 98)),
        ({"colorspace": 5, "color_range": 1}, (213, 39, 98)),
        ({"colorspace": 1, "color_range": 1}, (227, 59, 98)),
        ({"colorspace": 1, "color_range": 2}, (213, 66, 100)),
    ],
)
def test_range_and_matrix_are_the_streams_own(tmp_path: Path, stated: dict[str, int], rgb: tuple[int, ...]) -> None:
    frame = frames_of(encoded(tmp_path / "clip.mp4", [plain(100, cr=200)] * 2, **stated))[0]
    assert np.abs(frame.pixels[20, 20].astype(int) - rgb).max() <= 2


def moving_bar(moment: int) -> U8:
    """An interlaced picture: a bar that moves by 6 pixels from field to field."""
    planes = plain(40)
    for parity in (0, 1):
        left = 6 * (2 * moment + parity)
        planes[parity:HEIGHT:2, left : left + 10] = 220
    return planes


def comb(pixels: U8) -> float:
    """How much neighbouring lines differ."""
    return float(np.abs(np.diff(pixels[8:-8, :, 1].astype(int), axis=0)).mean())


def test_interlaced_video_shows_no_comb(tmp_path: Path) -> None:
    stored = [moving_bar(moment) for moment in range(7)]
    fields, whole = {"flags": "+ildct+ilme", "x264-params": "tff=1"}, {}
    woven = frames_of(encoded(tmp_path / "said_to_be_whole.mp4", stored, whole))
    got = frames_of(encoded(tmp_path / "fields.mp4", stored, fields))
    assert len(got) == 7, "the deinterlacer holds the last one back, and gives it at the end"
    assert [frame.t_ms for frame in got] == pytest.approx([40.0 * k for k in range(7)], abs=0.1)
    for before, after in list(zip(woven, got, strict=True))[1:-1]:
        assert comb(after.pixels) < 0.25 * comb(before.pixels)


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    clip = encoded(tmp_path / "clip.mp4", [plain(90)] * 2, sample_aspect_ratio=Fraction(16, 15))
    with open_source(str(clip)) as source:
        assert source.info.size == (round(WIDTH * 16 / 15), HEIGHT)
        assert source.info.title == "video file, pixels made square (they were 1.07 times as wide as high)"


def test_a_clip_that_was_turned_is_turned_back(tmp_path: Path) -> None:
    marked = plain(16)
    marked[:16, :24] = 235
    clip = encoded(tmp_path / "clip.mp4", [marked] * 2)
    straight = (0x10000).to_bytes(4, "big") + bytes(12) + (0x10000).to_bytes(4, "big")
    turned = bytes(4) + (0x10000).to_bytes(4, "big") + bytes(4) + (-0x10000).to_bytes(4, "big", signed=True) + bytes(4)
    raw = bytearray(clip.read_bytes())
    start = raw.index(straight, raw.index(b"tkhd"))
    raw[start : start + 20] = turned
    clip.write_bytes(raw)
    (frame, *_) = frames_of(clip)
    assert frame.pixels.shape == (WIDTH, HEIGHT, 3)
    capture = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG)
    theirs = capture.read()[1]
    capture.release()
    assert np.array_equal(frame.pixels, theirs[:, :, ::-1]), "as other players turn it"


def test_music_with_a_cover_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "music.mka"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(SourceError, match="it holds no video"), open_source(str(path)):
        pass


def test_a_pause_in_a_recording_stays_as_long_as_it_was() -> None:
    clock = StreamClock(40)
    assert [clock.at(told) for told in (5.0, 5.04, 35.04)] == pytest.approx([0, 40, 30040])


@given(
    st.lists(st.tuples(st.none() | st.floats(-1e6, 1e6), st.none() | st.floats(-1e6, 1e6)), max_size=30),
    st.floats(1, 1000),
)
def test_times_never_go_back_whatever_a_stream_says(told: list[tuple[float | None, float | None]], step: float) -> None:
    clock = StreamClock(step)
    times = [clock.at(*one) for one in told]
    assert all(later > earlier for earlier, later in itertools.pairwise(times))


def test_a_live_clock_that_jumps_is_bridged_by_arrival() -> None:
    clock = StreamClock(40)
    told = [(1.0, 10.0), (1.04, 10.05), (95443.7, 10.09), (95443.74, 10.14), (0.1, 10.18)]
    assert [clock.at(*one) for one in told] == pytest.approx([0, 40, 80, 120, 160])
