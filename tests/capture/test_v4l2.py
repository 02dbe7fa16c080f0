"""Grabbers: which mode is chosen, what their pictures become, and what is said when they fail.

No grabber is connected where these tests run: the device below answers V4L2's calls with the kernel's structures.
"""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_app.capture.base import Frame, SourceError, Waiting
from edge_app.capture.modes import COMPRESSED, READABLE, SMOOTH_FPS, UNCOMPRESSED, Mode, Wish, ranked
from edge_app.capture.open import open_source
from edge_app.capture.probing import probe
from edge_app.capture.v4l2 import grabbers, holder_of

if sys.platform != "linux":
    pytest.skip("grabbers are Linux's", allow_module_level=True)

from edge_app.capture._v4l2 import device_files
from tests.capture.fake_v4l2 import IOC, FakeGrabber, Picture, plug_in

SIZE = (64, 48)
MODES = [("YUYV", *SIZE, [30, 60]), ("MJPG", *SIZE, [60, 30])]


def yuyv(level: int, size: tuple[int, int] = SIZE) -> bytes:
    return bytes([level, 128]) * (size[0] * size[1])


@pytest.fixture
def grabber(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGrabber:
    return plug_in(FakeGrabber(tmp_path / "video0", list(MODES)), monkeypatch)


def test_the_first_grabber_is_opened_in_its_best_mode(grabber: FakeGrabber) -> None:
    with open_source("v4l2:") as source:
        assert grabber.asked == ["YUYV 64x48"]
        assert source.info.live
        assert source.info.size == SIZE
        assert source.info.fps == 30
        assert source.info.title == "USB3 HDMI, YUYV 64x48 at 30 frames/s"
        assert grabber.streaming
    assert not grabber.streaming


def test_pictures_have_the_kernels_times_and_count_what_was_left_out(grabber: FakeGrabber) -> None:
    with open_source(f"v4l2:{grabber.path}") as source:
        frames = []
        for number, time_s, level in ((7, 100.0, 16), (8, 100.0333, 126), (12, 100.1667, 235)):
            grabber.pictures.append(Picture(yuyv(level), time_s, number))
            frames.append(source.read())
    assert [frame.index for frame in frames if isinstance(frame, Frame)] == [0, 1, 5]
    assert [frame.t_ms for frame in frames if isinstance(frame, Frame)] == pytest.approx([0, 33.3, 166.7], abs=0.1)
    assert [int(frame.pixels[9, 9, 1]) for frame in frames if isinstance(frame, Frame)] == [0, 128, 255]
    assert not frames[0].pixels.flags.writeable  # type: ignore[union-attr]


def test_a_late_reader_gets_the_newest_picture_and_no_buffer_is_lost(grabber: FakeGrabber) -> None:
    with open_source("v4l2:") as source:
        for turn in range(4):
            grabber.pictures.extend(Picture(yuyv(16 + k), turn + k / 30, 3 * turn + k) for k in range(3))
            frame = source.read()
            assert isinstance(frame, Frame)
            assert frame.index == 3 * turn
            assert len(grabber.queued) == 3


def test_nothing_yet_is_said_in_time(grabber: FakeGrabber) -> None:
    with open_source("v4l2:") as source:
        start = time.monotonic()
        assert isinstance(source.read(), Waiting)
        assert time.monotonic() - start < 0.5


def test_damaged_pictures_are_left_out(grabber: FakeGrabber) -> None:
    with open_source("v4l2:") as source:
        grabber.pictures.append(Picture(yuyv(99), 1.0, 1, flags=0x40))
        assert isinstance(source.read(), Waiting), "the driver says so itself"
        grabber.pictures.append(Picture(yuyv(99)[:100], 1.1, 2))
        assert source.read() == Waiting("the grabber sends damaged pictures")
        grabber.pictures.append(Picture(yuyv(99), 1.2, 3))
        assert isinstance(source.read(), Frame)


def test_interlaced_pictures_are_deinterlaced(grabber: FakeGrabber) -> None:
    comb = np.full((SIZE[1], SIZE[0], 2), 128, np.uint8)
    comb[0::2, :, 0], comb[1::2, :, 0] = 235, 16
    with open_source("v4l2:") as source:
        grabber.pictures.append(Picture(comb.tobytes(), 1.0, 1, field=4))
        frame = source.read()
    assert isinstance(frame, Frame)
    assert np.all(frame.pixels == 255)


@pytest.mark.parametrize(
    ("stated", "asked", "white"),
    [
        ({}, "", 255),
        ({"quantization": 1}, "", 235),
        ({}, ",range=full", 235),
        ({"quantization": 1}, ",range=limited", 255),
    ],
)
def test_the_range_is_the_drivers_unless_the_operator_knows_better(
    grabber: FakeGrabber, stated: dict[str, int], asked: str, white: int
) -> None:
    for name, value in stated.items():
        setattr(grabber, name, value)
    with open_source(f"v4l2:{grabber.path}{asked}") as source:
        grabber.pictures.append(Picture(yuyv(235)))
        frame = source.read()
    assert isinstance(frame, Frame)
    assert int(frame.pixels[5, 5, 0]) == white


@pytest.mark.parametrize(
    ("stated", "asked", "matrix"),
    [({}, "", "601"), ({"colorspace": 3}, "", "709"), ({"ycbcr_enc": 2}, "", "709"), ({}, ",matrix=709", "709")],
)
def test_the_matrix_is_the_drivers_unless_the_operator_knows_better(
    grabber: FakeGrabber, stated: dict[str, int], asked: str, matrix: str
) -> None:
    for name, value in stated.items():
        setattr(grabber, name, value)
    with open_source(f"v4l2:{grabber.path}{asked}") as source:
        grabber.pictures.append(Picture(bytes([100, 128, 100, 200]) * (SIZE[0] * SIZE[1] // 2)))
        frame = source.read()
    assert isinstance(frame, Frame)
    # (100 - 16) * 255 / 219 + (200 - 128) * 1.596 (BT.601) or 1.793 (BT.709)
    assert int(frame.pixels[5, 5, 0]) == {"601": 213, "709": 227}[matrix]


@pytest.mark.parametrize(("aspect", "across", "down"), [("16:9", 16, 9), ("4:3", 4, 3), ("5:4", 5, 4)])
def test_a_squeezed_picture_gets_the_shape_that_the_operator_names(
    grabber: FakeGrabber, aspect: str, across: int, down: int
) -> None:
    with open_source(f"v4l2:{grabber.path},aspect={aspect}") as source:
        grabber.pictures.append(Picture(yuyv(235)))
        frame = source.read()
        assert isinstance(frame, Frame)
        height, width = frame.pixels.shape[:2]
        assert width / height == pytest.approx(across / down, rel=0.02)
        assert width >= SIZE[0] and height >= SIZE[1], "nothing of the picture is lost"
        assert source.info.size == (width, height)
        squeezed = abs(across / down * SIZE[1] / SIZE[0] - 1) > 0.02
        assert ("pixels made square" in source.info.title) == squeezed


def test_rows_that_the_driver_pads_are_cut(grabber: FakeGrabber) -> None:
    grabber.padding = 32
    row = bytes([235, 128]) * SIZE[0] + bytes(32)
    with open_source("v4l2:") as source:
        grabber.pictures.append(Picture(row * SIZE[1]))
        frame = source.read()
    assert isinstance(frame, Frame)
    assert np.all(frame.pixels == 255)


def test_a_driver_that_says_nonsense_of_its_rates_is_used_all_the_same(grabber: FakeGrabber) -> None:
    grabber.modes = [("YUYV", *SIZE, [0])]
    with open_source("v4l2:") as source:
        assert source.info.fps == 30, "assumed"
        grabber.pictures.append(Picture(yuyv(50)))
        assert isinstance(source.read(), Frame)


def test_a_bus_without_room_gets_the_next_mode(grabber: FakeGrabber) -> None:
    grabber.refused = {"YUYV": errno.ENOSPC}
    with open_source("v4l2:") as source:
        assert grabber.asked == ["YUYV 64x48", "YUYV 64x48", "MJPG 64x48"]
        assert "MJPG" in source.info.title


def test_the_input_of_an_hdmi_bridge_gives_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = [("UYVY", 1920, 1080, [30]), ("UYVY", 1280, 1024, [30])]
    grabber = plug_in(FakeGrabber(tmp_path / "video0", modes, native=(1280, 1024)), monkeypatch)
    with open_source("v4l2:") as source:
        assert source.info.size == (1280, 1024)
    assert grabber.asked == ["UYVY 1280x1024"]


def test_a_scanner_that_changes_its_size_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = [("UYVY", 64, 48, [30]), ("UYVY", 32, 24, [30])]
    grabber = plug_in(FakeGrabber(tmp_path / "video0", modes, native=(64, 48)), monkeypatch)
    with open_source("v4l2:") as source:
        grabber.pictures.append(Picture(yuyv(128), 1.0, 1))
        before = source.read()
        grabber.native, grabber.changes = (32, 24), 1
        grabber.pictures.append(Picture(yuyv(128, (32, 24)), 1.5, 0))
        after = source.read()
        assert source.info.size == (32, 24)
    assert isinstance(before, Frame)
    assert isinstance(after, Frame)
    assert (before.pixels.shape[:2], after.pixels.shape[:2]) == ((48, 64), (24, 32))
    assert after.index > before.index
    assert after.t_ms == pytest.approx(500, abs=0.1)


def test_a_driver_that_wakes_for_nothing_costs_no_core(grabber: FakeGrabber) -> None:
    with open_source("v4l2:") as source:
        start = time.thread_time()
        for _ in range(2):
            assert isinstance(source.read(), Waiting)
        assert time.thread_time() - start < 0.25, "half a second of waiting"


@pytest.mark.parametrize("number", [errno.ENODEV, errno.EIO])
def test_a_grabber_that_is_unplugged_is_one_sentence(grabber: FakeGrabber, number: int) -> None:
    with open_source("v4l2:") as source:
        grabber.errors[IOC.DQBUF] = number
        with pytest.raises(SourceError, match="was unplugged or has given up"):
            source.read()


@pytest.mark.parametrize(
    ("call", "number", "because"),
    [
        (IOC.REQBUFS, errno.EBUSY, "another program uses it"),
        (IOC.STREAMON, errno.ENOSPC, "the USB bus has no room"),
        (IOC.STREAMON, errno.ENOLINK, "there is no signal at its input"),
        (IOC.QUERYCAP, errno.EACCES, "this user may not use it: add the user to the group video"),
        (IOC.QUERYCAP, errno.ENOTTY, "it is no video device"),
        (IOC.S_FMT, errno.EIO, "input/output error"),
    ],
)
def test_a_grabber_that_refuses_is_one_sentence(grabber: FakeGrabber, call: int, number: int, because: str) -> None:
    grabber.errors[call] = number
    with pytest.raises(SourceError, match=because), open_source(f"v4l2:{grabber.path}"):
        pass
    assert not grabber.streaming


@pytest.mark.parametrize("card", ["Integrated Camera: Integrated C", "HD Webcam C525", "FaceTime HD", "USB2.0 PC CAM"])
def test_the_camera_of_a_laptop_is_not_opened_unasked(grabber: FakeGrabber, card: str) -> None:
    grabber.card = card
    with pytest.raises(SourceError, match="only a camera is connected"), open_source("v4l2:"):
        pass
    with open_source(f"v4l2:{grabber.path}") as source:
        assert source.info.size == SIZE


def test_the_list_of_sources_takes_no_picture_of_a_camera_unasked(grabber: FakeGrabber) -> None:
    grabber.card = "Integrated Camera"
    name = f"v4l2:{grabber.path}"
    listed = probe(name, unasked=True)
    assert listed.good
    assert listed.title.startswith("Integrated Camera, a camera")
    assert listed.modes[0] == "YUYV 64x48 at 30 frames/s"
    assert listed.thumbnail is None
    assert grabber.asked == [], "it was not started"
    grabber.pictures.append(Picture(yuyv(235)))
    named = probe(name)
    assert named.size == SIZE
    assert named.thumbnail is not None
    grabber.capabilities = 0x04800000
    assert probe(name).useless, "the second file of a USB grabber"


CALLS = [call for call in IOC if call.name in (
    "QUERYCAP", "ENUM_FMT", "ENUM_FRAMESIZES", "ENUM_FRAMEINTERVALS", "S_FMT", "G_FMT", "S_PARM", "G_PARM", "REQBUFS",
    "QUERYBUF", "QBUF", "DQBUF", "STREAMON", "STREAMOFF", "QUERY_DV_TIMINGS", "SUBSCRIBE_EVENT",
    "DQEVENT",
)]  # fmt: skip
NUMBERS = [errno.EINVAL, errno.EIO, errno.ENODEV, errno.EBUSY, errno.ENOSPC, errno.ENOMEM, errno.EAGAIN, errno.ENOTTY]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(CALLS), st.sampled_from(NUMBERS), st.booleans())
def test_any_call_may_fail_at_any_time(tmp_path: Path, call: IOC, number: int, later: bool) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.MonkeyPatch.context() as patch:
        grabber = plug_in(FakeGrabber(tmp_path / "video0", list(MODES)), patch)
        fault = {int(call): number}
        grabber.errors = {} if later else fault
        try:
            with open_source(f"v4l2:{grabber.path}") as source:
                for index in range(3):
                    grabber.pictures.append(Picture(yuyv(50), index / 30, index))
                    grabber.errors = fault
                    source.read()
        except SourceError as error:
            assert "\n" not in error.sentence
            assert len(error.sentence) > 40
    assert len(list(Path("/proc/self/fd").iterdir())) == before, "no device is left open"


def test_what_captures_nothing_is_no_grabber(grabber: FakeGrabber) -> None:
    grabber.capabilities = 0x04800000  # metadata of a USB camera
    assert grabbers() == []
    with pytest.raises(SourceError, match="none is connected"), open_source("v4l2:"):
        pass
    with pytest.raises(SourceError, match="it captures no video"), open_source(f"v4l2:{grabber.path}"):
        pass


def test_device_files_are_found_in_their_order(tmp_path: Path) -> None:
    for name in ("video10", "video2", "video", "media0"):
        (tmp_path / name).symlink_to("/dev/null")  # a character device that everybody may open
    (tmp_path / "video3").write_bytes(b"a plain file")
    assert [path.name for path in device_files(tmp_path)] == ["video2", "video10"]


def test_a_missing_device_is_one_sentence() -> None:
    with pytest.raises(SourceError, match="there is no such device"), open_source("v4l2:/dev/video-none"):
        pass


def test_the_program_that_holds_a_device_is_named(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.write_bytes(b"")
    code = f"import sys; f = open({str(device)!r}); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        told = holder_of(device)
        holder.communicate(b"")
    assert told is not None
    assert f"(process {holder.pid})" in told
    assert holder_of(device) is None


@pytest.mark.parametrize(
    "asked",
    [
        "0,size=big",
        "0,fps=0",
        "0,format=H264",
        "0,range=all",
        "0,colour=red",
        "0,matrix=1",
        "0,aspect=wide",
        "0,aspect=16:0",
    ],
)
def test_an_option_that_is_none_is_one_sentence(asked: str) -> None:
    with pytest.raises(SourceError, match="is no option"):
        open_source(f"v4l2:{asked}")


def test_a_wish_that_cannot_be_met_says_what_is_offered(grabber: FakeGrabber) -> None:
    with pytest.raises(SourceError, match="it offers MJPG 64x48, YUYV 64x48"), open_source("v4l2:,size=1920x1080"):
        pass


any_mode = st.builds(
    Mode,
    st.sampled_from([*READABLE, "H264"]),
    st.sampled_from([640, 1280, 1920, 3840]),
    st.sampled_from([480, 720, 1080, 2160]),
    st.sampled_from([None, 5.0, 10.0, 25.0, 30.0, 60.0]),
)


@given(st.lists(any_mode, max_size=12), st.sampled_from([None, *READABLE]), st.sampled_from([None, (1280, 720)]))
def test_the_first_choice_cannot_be_bettered(
    modes: list[Mode], fourcc: str | None, size: tuple[int, int] | None
) -> None:
    chosen = ranked(modes, Wish(fourcc, size))
    fitting = {
        mode
        for mode in modes
        if mode.fourcc in READABLE and fourcc in (None, mode.fourcc) and size in (None, (mode.width, mode.height))
    }
    assert set(chosen) == fitting
    if not chosen:
        return
    best = chosen[0]
    smooth = [mode for mode in fitting if mode.fps is None or mode.fps >= SMOOTH_FPS]
    assert best in smooth or not smooth, "a smooth picture before a large one"
    if best.fourcc in COMPRESSED:
        same = [mode for mode in smooth if (mode.width, mode.height) == (best.width, best.height)]
        assert not any(mode.fourcc in UNCOMPRESSED for mode in same), "JPEG only where the bus lacks the room"


def test_usb2_takes_jpeg_where_the_raw_picture_stutters() -> None:
    modes = [Mode("YUYV", 1920, 1080, 5.0), Mode("MJPG", 1920, 1080, 30.0), Mode("YUYV", 640, 480, 30.0)]
    assert ranked(modes, Wish())[0] == Mode("MJPG", 1920, 1080, 30.0)
    assert ranked(modes, Wish(), native=(640, 480))[0] == Mode("YUYV", 640, 480, 30.0)
    assert ranked(modes, Wish(fourcc="YUYV", size=(1920, 1080)))[0].fps == 5.0
