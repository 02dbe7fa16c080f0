"""Times what a source costs one core for a frame of 1920 x 1080, and how late the pictures of a network stream are.

Run: ``python tests/bench/sources.py``. OpenCV's own conversion of YUYV, which knows BT.601 and limited range alone, is
the measure of the others. Milliseconds of processor time, p50 and p95 over 60 frames.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import av  # noqa: E402
import cv2  # noqa: E402
import numpy as np  # noqa: E402

from edge_app.capture.base import frames  # noqa: E402
from edge_app.capture.fields import Deinterlacer  # noqa: E402
from edge_app.capture.open import open_source  # noqa: E402
from edge_app.capture.pixelformats import PixelFormat, least_stride, to_rgb  # noqa: E402
from tests.capture.senders import number_of, numbered, recording, tcp_sender  # noqa: E402

WIDTH, HEIGHT, FRAMES = 1920, 1080, 60


def timed(name: str, work: Callable[[], object]) -> None:
    took = []
    for _ in range(FRAMES):
        start = time.thread_time()
        work()
        took.append(1000 * (time.thread_time() - start))
    print(f"{name:32} p50 {np.percentile(took, 50):6.2f} ms   p95 {np.percentile(took, 95):6.2f} ms", flush=True)


def main() -> None:
    cv2.setNumThreads(1)
    rng = np.random.default_rng(1)
    screen = cv2.GaussianBlur(rng.integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8), (0, 0), 3)
    packed = rng.integers(16, 236, (HEIGHT, WIDTH, 2)).astype(np.uint8)
    timed("OpenCV, YUYV", lambda: cv2.cvtColor(packed, cv2.COLOR_YUV2RGB_YUYV))
    for fourcc in ("YUYV", "UYVY", "NV12", "YU12", "BGR3"):
        data = rng.integers(16, 236, WIDTH * HEIGHT * 3, np.uint8).tobytes()
        for matrix in ("601", "709"):
            layout = PixelFormat(fourcc, WIDTH, HEIGHT, least_stride(fourcc, WIDTH), matrix)  # type: ignore[arg-type]
            timed(f"grabber, {fourcc} {matrix}", lambda data=data, layout=layout: to_rgb(data, layout))  # type: ignore[misc]
    jpeg = cv2.imencode(".jpg", screen, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    timed("grabber, MJPG", lambda: to_rgb(jpeg, PixelFormat("MJPG", WIDTH, HEIGHT, 0)))
    deinterlace = Deinterlacer()
    moving = [screen, screen[::-1].copy()]
    timed("fields, moving", lambda: deinterlace(moving[0], "interlaced") if moving.reverse() is None else None)
    timed("fields, still", lambda: deinterlace(screen, "interlaced"))
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        clip.write_bytes(recording(FRAMES + 4, (WIDTH, HEIGHT), "mp4", "libx264"))
        with open_source(str(clip)) as source:
            timed("video file, H.264 (conversion)", source.read)
    delay()


def delay() -> None:
    """From the moment at which a frame goes into the encoder to the moment at which it is read, on one computer."""
    sent: dict[int, float] = {}

    def send(receiver: socket.socket, stop: threading.Event) -> None:
        with av.open(receiver.makefile("wb", buffering=0), "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=25, options={"tune": "zerolatency", "preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
            stream.codec_context.gop_size = 25
            start = time.monotonic()
            for index in range(200):
                if stop.wait(max(0.0, start + index / 25 - time.monotonic())):
                    return
                frame = av.VideoFrame.from_ndarray(numbered(index, (640, 480)), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                sent[index] = time.monotonic()
                container.mux(stream.encode(frame))

    late = []
    with tcp_sender(send) as port:
        begun = time.monotonic()
        with open_source(f"tcp://127.0.0.1:{port}") as source:
            opened = time.monotonic() - begun
            for frame in itertools.islice(frames(source), 150):
                late.append(1000 * (time.monotonic() - sent[number_of(frame.pixels)]))
    steady = late[60:]
    print(
        f"MPEG-TS over TCP, H.264 640x480: first picture after {opened:.2f} s; encoder to frame "
        f"p50 {np.percentile(steady, 50):.0f} ms, p95 {np.percentile(steady, 95):.0f} ms"
    )


if __name__ == "__main__":
    main()
