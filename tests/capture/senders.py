"""Senders on this computer's loopback that the tests of streams receive from: real sockets, real bytes."""

from __future__ import annotations

import http.server
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

SIZE = (320, 240)
FPS = 25
BITS, CELL = 8, 32  # each frame carries its number in a row of cells, black or white
PACKET = 188  # of MPEG-TS


def numbered(index: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """A grey picture that carries its number."""
    pixels = np.full((size[1], size[0], 3), 110, np.uint8)
    for bit in range(BITS):
        pixels[:CELL, bit * CELL : (bit + 1) * CELL] = 255 if index >> bit & 1 else 0
    return pixels


def number_of(pixels: NDArray[np.uint8]) -> int:
    """Read the number back, whatever the compression did."""
    middle = CELL // 2
    return sum(int(pixels[middle, bit * CELL + middle, 1] > 128) << bit for bit in range(BITS))


def recording(
    frames: int, size: tuple[int, int] = SIZE, kind: str = "mpegts", codec: str = "mpeg2video", start: int = 0
) -> bytes:
    """A video of numbered frames; every 12th is a key picture."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.bit_rate = 4_000_000
        stream.codec_context.gop_size = 12
        stream.codec_context.max_b_frames = 0
        stream.codec_context.time_base = Fraction(1, FPS)
        for index in range(start, start + frames):
            frame = av.VideoFrame.from_ndarray(numbered(index, size), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def paced(data: bytes, seconds: float, stop: threading.Event) -> Iterator[bytes]:
    """Cut a recording into whole packets, at the speed at which it was made."""
    step = PACKET * 7
    pause = seconds / max(1, len(data) // step)
    for start in range(0, len(data), step):
        if stop.is_set():
            return
        yield data[start : start + step]
        time.sleep(pause)


@contextmanager
def tcp_sender(send: Callable[[socket.socket, threading.Event], None], times: int = 1) -> Iterator[int]:
    """Serve so many receivers one after the other; gives the port."""
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        thread = threading.Thread(target=_serve, args=(server, send, times, stop))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def _serve(
    server: socket.socket, send: Callable[[socket.socket, threading.Event], None], times: int, stop: threading.Event
) -> None:
    while times and not stop.is_set():
        try:
            receiver, _ = server.accept()
        except TimeoutError:
            continue
        times -= 1
        with receiver:
            try:
                send(receiver, stop)
            except OSError:
                continue  # the receiver has gone


@contextmanager
def udp_sender(data: bytes, seconds: float) -> Iterator[int]:
    """Send a recording to a free port again and again."""
    stop = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            while not stop.is_set():
                for packet in paced(data, seconds, stop):
                    try:
                        sender.sendto(packet, ("127.0.0.1", port))
                    except ConnectionRefusedError:
                        continue  # nobody listens yet

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield port
    finally:
        stop.set()
        thread.join()


@contextmanager
def web_server(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[int]:
    """Answer every GET so; gives the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                answer(self)
            except OSError:
                return  # the receiver has gone

        def log_message(self, format: str, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def rtsp_session(data: bytes, seconds: float) -> Callable[[socket.socket, threading.Event], None]:
    """Return the server's side of one RTSP session: MPEG-TS in RTP, interleaved on the same connection (RFC 2326)."""

    def send(receiver: socket.socket, stop: threading.Event) -> None:
        requests = receiver.makefile("rb")
        while (method := _answer(requests, receiver)) != "PLAY":
            if method is None:
                return
        for number, packet in enumerate(paced(data, seconds, stop)):
            header = bytes([0x80, 33]) + (number & 0xFFFF).to_bytes(2, "big") + bytes(4) + b"echo"
            rtp = header + packet
            receiver.sendall(b"$\0" + len(rtp).to_bytes(2, "big") + rtp)

    return send


def _answer(requests: io.BufferedReader, receiver: socket.socket) -> str | None:
    lines = []
    while (line := requests.readline().strip()) or not lines:
        if not line:
            return None
        lines.append(line.decode())
    method, sequence = lines[0].split()[0], next(x for x in lines if x.lower().startswith("cseq"))
    body, extra = "", ""
    if method == "DESCRIBE":
        body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 33\r\na=control:track\r\n"
        extra = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
    elif method == "SETUP":
        extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
    elif method == "OPTIONS":
        extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
    receiver.sendall(f"RTSP/1.0 200 OK\r\n{sequence}\r\n{extra}\r\n{body}".encode())
    return method
