"""Videos and DICOM files, and damaged copies of them, for the tests and the bench of what cannot be read."""

from __future__ import annotations

import itertools
import socket
import threading
from pathlib import Path

import numpy as np

from edge_app.capture.base import frames
from edge_app.capture.open import open_source
from edge_app.capture.stream import StreamSource
from engines.errors import EchoGFRError
from tests.capture.senders import recording, tcp_sender

KINDS = ("cut", "noise", "zeros", "header", "doubled", "swapped")
MOST_FRAMES = 400  # a damaged header may claim any number


def wholes(folder: Path) -> list[Path]:
    """Write a video of each usual container and codec, and a DICOM cine."""
    videos = {
        "h264.mp4": recording(30, kind="mp4", codec="libx264"),
        "mpeg2.ts": recording(30),
        "mpeg4.avi": recording(30, kind="avi", codec="mpeg4"),
        "h264.mkv": recording(30, kind="matroska", codec="libx264"),
        "mpeg1.mpg": recording(30, kind="mpeg", codec="mpeg1video"),
    }
    for name, data in videos.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in videos]


def damaged(whole: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """Return a damaged copy."""
    data = bytearray(whole)
    size = len(data)
    start, length = int(rng.integers(0, size)), int(rng.integers(1, max(2, size // 4)))
    if kind == "cut":
        return bytes(data[:start])
    if kind == "noise":
        data[start : start + length] = rng.bytes(len(data[start : start + length]))
    elif kind == "zeros":
        data[start : start + length] = bytes(len(data[start : start + length]))
    elif kind == "header":
        for place in rng.integers(0, min(size, 1500), 6):
            data[place] = int(rng.integers(0, 256))
    elif kind == "doubled":
        data[start:start] = data[start : start + length]
    else:
        other = int(rng.integers(0, size))
        first, second = data[start : start + 500], data[other : other + 500]
        data[start : start + len(second)], data[other : other + len(first)] = second, first
    return bytes(data)


def read(path: Path) -> str:
    """Read a file to its end; return how it ended: with pictures, or with a sentence."""
    count = 0
    try:
        with open_source(str(path)) as source:
            for frame in frames(source):
                if frame.pixels.ndim != 3 or frame.pixels.shape[2] != 3:
                    raise AssertionError(f"a frame of shape {frame.pixels.shape}")
                count += 1
                if count == MOST_FRAMES:
                    break
    except EchoGFRError as error:
        if "\n" in error.sentence or len(error.sentence) > 600:
            raise AssertionError(f"no sentence: {error.sentence}") from error
        return "sentence"
    return "pictures" if count else "nothing"


def read_stream(path: Path) -> str:
    """Send a file over TCP, and read it as a live stream to its end; return how it ended."""
    data = path.read_bytes()

    def send(receiver: socket.socket, stop: threading.Event) -> None:
        receiver.sendall(data)

    count = 0
    with tcp_sender(send) as port:
        try:
            with StreamSource(f"tcp://127.0.0.1:{port}", open_s=3.0, read_s=1.0) as source:
                count = sum(1 for _ in itertools.islice(frames(source), MOST_FRAMES))
        except EchoGFRError as error:
            if "\n" in error.sentence or len(error.sentence) > 600:
                raise AssertionError(f"no sentence: {error.sentence}") from error
            return "sentence"
    return "pictures" if count else "nothing"
