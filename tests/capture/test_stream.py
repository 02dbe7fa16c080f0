"""Network streams over real sockets: what comes in whole, what breaks off, and what of an address is shown."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from edge_app.capture.base import Frame, SourceError, frames
from edge_app.capture.naming import host_of, shown
from edge_app.capture.open import endless, open_source
from edge_app.capture.stream import StreamSource
from tests.capture.senders import (
    FPS,
    SIZE,
    number_of,
    paced,
    recording,
    rtsp_session,
    tcp_sender,
    udp_sender,
    web_server,
)

CLIP = recording(75)
SECONDS = 1.5  # for three seconds of video: the tests need not wait for all of it


def send_clip(receiver: socket.socket, stop: threading.Event) -> None:
    for packet in paced(CLIP, SECONDS, stop):
        receiver.sendall(packet)


def received(source: StreamSource, count: int) -> list[Frame]:
    with source:
        return [frame for frame, _ in zip(frames(source), range(count), strict=False)]


def in_order(got: list[Frame]) -> bool:
    numbers = [number_of(frame.pixels) for frame in got]
    return bool(np.all(np.diff(numbers) == 1))


def test_every_frame_of_a_tcp_stream_comes_once_in_order_and_with_the_streams_own_times() -> None:
    with tcp_sender(send_clip) as port, StreamSource(f"tcp://127.0.0.1:{port}") as source:
        assert source.info.live
        assert source.info.size == SIZE
        assert source.info.fps == pytest.approx(FPS)
        got = [frame for frame, _ in zip(frames(source), range(60), strict=False)]
    assert in_order(got)
    assert number_of(got[0].pixels) == 0
    assert np.allclose(np.diff([frame.t_ms for frame in got]), 1000 / FPS, atol=0.5), "sent in half the time"
    assert not got[0].pixels.flags.writeable


def test_a_udp_stream_is_joined_in_the_middle() -> None:
    with udp_sender(CLIP, SECONDS) as port:
        got = received(StreamSource(f"udp://127.0.0.1:{port}"), 20)
    assert in_order(got)
    assert got[0].pixels.shape == (SIZE[1], SIZE[0], 3)


def test_a_live_http_stream_is_read_as_it_grows() -> None:
    stop = threading.Event()

    def grow(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "video/mp2t")
        request.end_headers()
        for packet in paced(CLIP, SECONDS, stop):
            request.wfile.write(packet)

    with web_server(grow) as port:
        got = received(StreamSource(f"http://127.0.0.1:{port}/live.ts"), 30)
        stop.set()
    assert in_order(got)


def test_a_recording_behind_http_has_its_own_pace_and_its_end() -> None:
    clip = recording(20, kind="mp4", codec="libx264")

    def serve(request: http.server.BaseHTTPRequestHandler) -> None:
        first = int((request.headers.get("Range") or "bytes=0-").split("=")[1].split("-")[0])
        request.send_response(206 if first else 200)
        request.send_header("Accept-Ranges", "bytes")
        request.send_header("Content-Length", str(len(clip) - first))
        request.send_header("Content-Range", f"bytes {first}-{len(clip) - 1}/{len(clip)}")
        request.end_headers()
        request.wfile.write(clip[first:])

    with web_server(serve) as port:
        start = time.monotonic()
        with StreamSource(f"http://127.0.0.1:{port}/clip.mp4") as source:
            assert not source.info.live
            got = list(frames(source))
        took_s = time.monotonic() - start
    assert len(got) == 20
    assert in_order(got)
    assert took_s > 19 / FPS


def test_an_rtsp_stream_comes_over_its_own_connection() -> None:
    with tcp_sender(rtsp_session(CLIP, SECONDS)) as port:
        got = received(StreamSource(f"rtsp://127.0.0.1:{port}/kidney"), 30)
    assert in_order(got)


def test_a_stream_that_stalls_ends_in_one_sentence_within_its_deadline() -> None:
    def stall(receiver: socket.socket, stop: threading.Event) -> None:
        receiver.sendall(CLIP[: len(CLIP) // 2])
        stop.wait(10)

    with tcp_sender(stall) as port, StreamSource(f"tcp://127.0.0.1:{port}", read_s=0.5) as source:
        start = time.monotonic()
        with pytest.raises(SourceError, match="nothing came in time"):
            list(frames(source))
        assert 0.4 < time.monotonic() - start < 3.0


def test_a_silent_sender_is_given_up() -> None:
    with (
        tcp_sender(lambda receiver, stop: (stop.wait(10), None)[1]) as port,
        pytest.raises(SourceError, match="nothing came in time"),
        StreamSource(f"tcp://127.0.0.1:{port}", open_s=0.5),
    ):
        pass


def test_a_sender_that_ends_is_an_error_and_can_be_entered_again() -> None:
    with tcp_sender(send_clip, times=2) as port:
        source = StreamSource(f"tcp://127.0.0.1:{port}")
        with source, pytest.raises(SourceError, match="the sender sends no more"):
            list(frames(source))
        assert in_order(received(StreamSource(f"tcp://127.0.0.1:{port}"), 20))


def test_torn_bytes_cost_pictures_but_not_the_stream() -> None:
    torn = bytearray(CLIP)
    middle = len(torn) // 2
    torn[middle : middle + 4000] = np.random.default_rng(3).bytes(4000)

    def send(receiver: socket.socket, stop: threading.Event) -> None:
        for packet in paced(bytes(torn), SECONDS, stop):
            receiver.sendall(packet)

    got: list[Frame] = []
    with (
        tcp_sender(send) as port,
        StreamSource(f"tcp://127.0.0.1:{port}") as source,
        pytest.raises(SourceError, match="the sender sends no more"),
    ):
        got.extend(frames(source))
    numbers = [number_of(frame.pixels) for frame in got]
    assert 40 < len(numbers) < 75
    assert numbers[-1] == 74
    assert np.all(np.diff(numbers) > 0)


def test_the_size_may_change_in_mid_stream() -> None:
    other = (640, 480)
    both = recording(30) + recording(30, size=other, start=30)

    def send(receiver: socket.socket, stop: threading.Event) -> None:
        for packet in paced(both, SECONDS, stop):
            receiver.sendall(packet)

    shapes: list[tuple[int, ...]] = []
    with tcp_sender(send) as port, StreamSource(f"tcp://127.0.0.1:{port}") as source:
        for frame in frames(source):
            shapes.append(frame.pixels.shape)
            if number_of(frame.pixels) >= 50:
                break
    assert shapes[0] == (SIZE[1], SIZE[0], 3)
    assert shapes[-1] == (other[1], other[0], 3)


def test_what_is_no_video_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    def letter(request: http.server.BaseHTTPRequestHandler) -> None:
        page = b"<html>Sign in</html>" * 100
        request.send_response(200)
        request.send_header("Content-Length", str(len(page)))
        request.end_headers()
        request.wfile.write(page)

    with (
        web_server(letter) as port,
        pytest.raises(SourceError, match="no video") as caught,
        StreamSource(f"http://127.0.0.1:{port}/"),
    ):
        pass
    assert "\n" not in caught.value.sentence
    assert capfd.readouterr().err == "", "no library may complain past us"


def test_nobody_there_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SourceError, match="nobody listens there"), StreamSource(f"rtsp://127.0.0.1:{port}/x"):
        pass


def test_a_missing_password_is_asked_for_and_a_wrong_one_is_never_shown() -> None:
    def refuse(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(401)
        request.send_header("WWW-Authenticate", 'Basic realm="x"')
        request.end_headers()

    with (
        web_server(refuse) as port,
        pytest.raises(SourceError, match="user name and password") as caught,
        StreamSource(f"http://nurse:geheim@127.0.0.1:{port}/live?token=t0ken") as source,
    ):
        pass
    assert "geheim" not in caught.value.sentence
    assert "t0ken" not in caught.value.sentence
    assert "nurse" not in caught.value.sentence
    source = StreamSource("rtsp://nurse:geheim@10.0.0.7/live?token=t0ken")
    assert "geheim" not in source.info.uri + source.info.title
    assert "t0ken" not in source.info.uri + source.info.title


def test_an_answer_from_the_network_opens_no_file_here(tmp_path: Path) -> None:
    clip = tmp_path / "private.ts"
    clip.write_bytes(CLIP)

    def playlist(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/vnd.apple.mpegurl")
        request.end_headers()
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.0,\nfile:{clip}\n#EXT-X-ENDLIST\n"
        request.wfile.write(text.encode())

    with web_server(playlist) as port, pytest.raises(SourceError), StreamSource(f"http://127.0.0.1:{port}/list.m3u8"):
        pass


def test_a_play_list_on_disk_asks_nobody(tmp_path: Path) -> None:
    asked: list[str] = []

    def note(request: http.server.BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        request.send_response(404)
        request.end_headers()

    with web_server(note) as port:
        path = tmp_path / "clip.m3u8"
        path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3.0,\nhttp://127.0.0.1:{port}/a.ts\n")
        with pytest.raises(SourceError), open_source(str(path)):
            pass
    assert asked == []


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("rtsp://u:p@h:554/a", "rtsp://***@h:554/a"),
        ("rtsp://u:p@x@h/a", "rtsp://***@h/a"),
        ("http://h/a?key=1&b=2", "http://h/a?***"),
        ("udp://@239.0.0.1:5000", "udp://***@239.0.0.1:5000"),
        ("phantom:look=ge", "phantom:look=ge"),
        (
            'gst:rtspsrc location=rtsp://u:p@h/a?t=1 user-id=u user-pw="a b" ! decodebin',
            "gst:rtspsrc location=rtsp://***@h/a?*** user-id=*** user-pw=*** ! decodebin",
        ),
    ],
)
def test_secrets_of_an_address_are_masked(address: str, masked: str) -> None:
    assert shown(address) == masked


def test_the_title_says_who_is_asked() -> None:
    assert host_of("rtsp://u:p@10.0.0.7:554/a/b?c") == "10.0.0.7:554"
    assert open_source("stream:rtsp://10.0.0.7/a").info.title == "RTSP stream from 10.0.0.7"
    assert endless("rtsp://10.0.0.7/a")
