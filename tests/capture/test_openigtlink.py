"""OpenIGTLink over a real socket, written by pyigtl: pictures, other messages, and what no server should send."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.capture.base import Frame, SourceError, Waiting
from edge_app.capture.open import open_source
from tests.capture.senders import tcp_sender

pyigtl = pytest.importorskip("pyigtl", reason="pyigtl is not installed: OpenIGTLink cannot be tried")

GREY = np.random.default_rng(1).integers(0, 255, (1, 48, 64), np.uint8)
COLOUR = np.random.default_rng(2).integers(0, 255, (1, 48, 64, 3), np.uint8)


def image(voxels: np.ndarray, device: str = "Image_Image", at_s: float = 1000.0) -> bytes:
    packed: bytes = pyigtl.ImageMessage(voxels, timestamp=at_s, device_name=device).pack()
    return packed


def sending(*parts: bytes, then: Callable[[threading.Event], None] = lambda stop: None) -> Callable[..., None]:
    def send(receiver: socket.socket, stop: threading.Event) -> None:
        for part in parts:
            receiver.sendall(part)
        then(stop)

    return send


def wait(stop: threading.Event) -> None:
    stop.wait(10)


def test_pictures_come_as_they_were_sent_with_the_senders_times() -> None:
    position = pyigtl.TransformMessage(np.eye(4), device_name="ProbeToTracker").pack()
    parts = (image(GREY, at_s=1000.0), position, image(COLOUR, at_s=1000.04), image(GREY, at_s=1000.08))
    with tcp_sender(sending(*parts, then=wait)) as port, open_source(f"igtl:127.0.0.1:{port}") as source:
        got = [source.read() for _ in range(3)]
        assert source.info.live
        assert source.info.size == (64, 48)
        start = time.monotonic()
        assert isinstance(source.read(), Waiting), "nothing more came, and the server is still there"
        assert time.monotonic() - start < 0.5
    grey, colour, last = (frame for frame in got if isinstance(frame, Frame))
    assert np.array_equal(grey.pixels[:, :, 1], GREY[0])
    assert np.array_equal(colour.pixels, COLOUR[0])
    assert [grey.t_ms, colour.t_ms, last.t_ms] == pytest.approx([0, 40, 80], abs=0.1)
    assert not grey.pixels.flags.writeable


def test_another_device_is_passed_over() -> None:
    parts = (image(GREY, "Other"), image(COLOUR, "US"), image(GREY, "Other"))
    with tcp_sender(sending(*parts, then=wait)) as port, open_source(f"igtl:127.0.0.1:{port}/US") as source:
        frame = source.read()
        assert isinstance(frame, Frame)
        assert np.array_equal(frame.pixels, COLOUR[0])
        assert isinstance(source.read(), Waiting)


def test_a_picture_that_comes_in_pieces_is_put_together() -> None:
    whole = image(GREY)

    def send(receiver: socket.socket, stop: threading.Event) -> None:
        for start in range(0, len(whole), 700):
            receiver.sendall(whole[start : start + 700])
            time.sleep(0.002)
        stop.wait(5)

    with tcp_sender(send) as port, open_source(f"igtl:127.0.0.1:{port}") as source:
        frame = source.read()
    assert isinstance(frame, Frame)
    assert np.array_equal(frame.pixels[:, :, 0], GREY[0])


@pytest.mark.parametrize(
    ("sent", "because"),
    [
        (b"", "the server has closed the connection"),
        (image(GREY)[:500], "the server has closed the connection"),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: nobody at all\r\n\r\n", "does not speak OpenIGTLink"),
        (image(GREY)[:42] + (1 << 40).to_bytes(8, "big") + bytes(8), "announces more than a picture can hold"),
        (image(GREY.astype(np.uint16)), "its pixels are uint16, not 8 bits"),
        (image(GREY[:, :4, :4]), "sends 4x4 pixels"),
    ],
)
def test_what_cannot_be_shown_is_one_sentence(sent: bytes, because: str) -> None:
    with (
        tcp_sender(sending(sent)) as port,
        pytest.raises(SourceError, match=because),
        open_source(f"igtl:127.0.0.1:{port}") as source,
    ):
        for _ in range(20):
            source.read()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage_gives_a_picture_or_one_sentence(data: st.DataObject) -> None:
    from edge_app.capture._igtl import HEADER_BYTES, BadMessage, header, picture

    damaged = bytearray(image(COLOUR))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, 200))] = data.draw(st.integers(0, 255))
    try:
        pixels = picture(header(bytes(damaged[:HEADER_BYTES])), bytes(damaged[HEADER_BYTES:]))
    except BadMessage:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3


def test_nobody_there_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SourceError, match="connection refused"), open_source(f"igtl:127.0.0.1:{port}"):
        pass


@pytest.mark.parametrize("name", ["igtl:", "igtl:host:99999", "igtl:a b"])
def test_a_name_without_host_and_port_is_one_sentence(name: str) -> None:
    with pytest.raises(SourceError, match="it names no host and port"):
        open_source(name)
