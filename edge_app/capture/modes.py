"""Modes of a grabber (format, size, rate), and which of them to ask for first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# What pixelformats.py reads, best first: whole colour before halved, uncompressed before JPEG.
UNCOMPRESSED = ("RGB3", "BGR3", "BGR4", "XR24", "YUYV", "UYVY", "YVYU", "NV12", "NV21", "YU12", "YV12", "GREY")
COMPRESSED = ("MJPG", "JPEG")
READABLE = (*UNCOMPRESSED, *COMPRESSED)

SMOOTH_FPS = 25.0  # what an examination needs to look alive; slower modes come after all others
WANTED_FPS = 30.0  # scanners put out 25 to 60; more costs the bus and is read by nobody
LARGEST = 1920 * 1080  # pixels; beyond that grabbers only enlarge


@dataclass(frozen=True, slots=True)
class Mode:
    """One way in which a grabber can send; ``fps`` None: it does not say."""

    fourcc: str
    width: int
    height: int
    fps: float | None

    def __str__(self) -> str:
        rate = "" if self.fps is None else f" at {self.fps:g} frames/s"
        return f"{self.fourcc} {self.width}x{self.height}{rate}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator asks for, or what the grabber says of its input; None: the best."""

    fourcc: str | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None


def ranked(modes: Iterable[Mode], wish: Wish, native: tuple[int, int] | None = None) -> list[Mode]:
    """Return the modes that we can read, the one to try first in front.

    A wish is kept or nothing is returned. Else, in this order: at least ``SMOOTH_FPS``; the size of the scanner's own
    picture (``native``), which no scaler has touched; the largest; uncompressed before JPEG, for thin markers are the
    first that JPEG smears; a rate near ``WANTED_FPS``.
    """
    fitting = {mode for mode in modes if _fits(mode, wish)}
    return sorted(fitting, key=lambda mode: _rank(mode, wish, native))


def _fits(mode: Mode, wish: Wish) -> bool:
    if mode.fourcc not in READABLE or wish.fourcc not in (None, mode.fourcc):
        return False
    return wish.size in (None, (mode.width, mode.height))


def _rank(mode: Mode, wish: Wish, native: tuple[int, int] | None) -> tuple[float | bool | int | str, ...]:
    fps = WANTED_FPS if mode.fps is None else mode.fps
    pixels = mode.width * mode.height
    return (
        0.0 if wish.fps is None else abs(fps - wish.fps),
        fps < SMOOTH_FPS - 0.1,
        (mode.width, mode.height) != native,
        -pixels if pixels <= LARGEST else pixels,
        mode.fourcc in COMPRESSED,
        abs(fps - WANTED_FPS),
        READABLE.index(mode.fourcc),
    )
