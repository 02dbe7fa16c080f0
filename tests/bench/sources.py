"""Times what a source costs one core for a frame of 1920 x 1080: turning a grabber's bytes or a stream into RGB.

Run: ``python tests/bench/sources.py``. OpenCV's own conversion of YUYV, which knows BT.601 and limited range alone, is
the measure of the others. Milliseconds of processor time, p50 and p95 over 60 frames.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from edge_app.capture.fields import Deinterlacer  # noqa: E402
from edge_app.capture.open import open_source  # noqa: E402
from edge_app.capture.pixelformats import PixelFormat, least_stride, to_rgb  # noqa: E402
from tests.capture.senders import recording  # noqa: E402

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


if __name__ == "__main__":
    main()
