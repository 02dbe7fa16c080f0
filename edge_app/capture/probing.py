"""What a source is, looked at in a process of its own: a driver that hangs holds up nobody else."""

from __future__ import annotations

import base64
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_app.capture.naming import shown
from engines.errors import EchoGFRError

AT_ONCE = 3  # looked at together; each is a process
MOST_MODES = 8  # of a grabber: the rest is more of the same
THUMBNAIL = (48, 28)  # pixels at most, width and height: enough to tell one picture from another
POLL_S = 0.1
MAX_MESSAGE_BYTES = 1 << 20


class Thumbnail(BaseModel):
    """A small picture of what the source shows now; it is shown on a terminal and never written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int
    height: int
    rgb: str  # base64 of height x width x 3 bytes

    def pixel(self, x: int, y: int) -> tuple[int, int, int]:
        """Return red, green and blue; black below the picture."""
        if y >= self.height:
            return 0, 0, 0
        start = (y * self.width + x) * 3
        red, green, blue = base64.b64decode(self.rgb)[start : start + 3]
        return red, green, blue


class Probed(BaseModel):
    """What was found out about one source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str  # as it may be shown: without passwords
    good: bool
    title: str = ""
    live: bool | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    modes: tuple[str, ...] = ()  # of a grabber, the best first
    trouble: str = ""  # why it is not good, one sentence
    useless: bool = False  # it is no source at all, such as the second file of a USB camera
    thumbnail: Thumbnail | None = None


def probe_all(
    uris: Sequence[str], timeout_s: float, advance: Callable[[int, int], None] = lambda done, total: None
) -> list[Probed]:
    """Look at each source until its first picture, or for ``timeout_s`` at most; results in the order of ``uris``.

    Ctrl-C ends what is still looking.
    """
    found: dict[int, Probed] = {}
    waiting = list(enumerate(uris))
    running: dict[int, _Probe] = {}
    try:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                index, uri = waiting.pop(0)
                running[index] = _Probe(uri, timeout_s)
            wait([probe.answers for probe in running.values()], POLL_S)
            for index, probe in list(running.items()):
                done = probe.result()
                if done is not None:
                    found[index] = done
                    running.pop(index).end()
            advance(len(found), len(uris))
    finally:
        for probe in running.values():
            probe.end()
    return [found[index] for index in range(len(uris))]


class _Probe:
    """One process that looks at one source."""

    def __init__(self, uri: str, timeout_s: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._uri = uri
        self._timeout_s = timeout_s
        self._until_s = time.monotonic() + timeout_s
        self.answers, end = context.Pipe(duplex=False)
        self._process: SpawnProcess = context.Process(target=look, args=(uri, end), name="echogfr-probe", daemon=True)
        self._process.start()
        end.close()

    def result(self) -> Probed | None:
        """Return what it found, or that it found nothing in time; None while it is looking."""
        if self.answers.poll():
            try:
                return Probed.model_validate_json(self.answers.recv_bytes(MAX_MESSAGE_BYTES))
            except (EOFError, OSError, ValidationError):
                return self._failed("the process that looked at it has died")
        if time.monotonic() > self._until_s:
            return self._failed(f"it gave no picture within {self._timeout_s:g} s")
        return None

    def end(self) -> None:
        """End the process, whatever its driver does."""
        self._process.kill()
        self._process.join(1.0)
        self.answers.close()

    def _failed(self, because: str) -> Probed:
        name = shown(self._uri)
        return Probed(source=name, good=False, trouble=f"{name} gives nothing, because {because}: look after it.")


def look(uri: str, answers: Connection) -> None:
    """Look at a source and say what it is; runs in a process of its own."""
    answers.send_bytes(probe(uri).model_dump_json().encode())


def probe(uri: str) -> Probed:
    """Enter a source and wait for its first picture, for ever if it gives none."""
    from edge_app.capture.base import frames
    from edge_app.capture.open import open_source

    name = shown(uri)
    try:
        modes, useless = _grabber(uri)
        if useless:
            return Probed(source=name, good=False, useless=True)
        with open_source(uri) as source:
            first = next(frames(source), None)
            info = source.info
    except EchoGFRError as error:
        return Probed(source=name, good=False, trouble=error.sentence)
    if first is None:
        return Probed(source=name, good=False, trouble=f"{name} has no picture.")
    height, width = first.pixels.shape[:2]
    return Probed(
        source=name,
        good=True,
        title=info.title,
        live=info.live,
        size=(width, height),
        fps=info.fps,
        modes=modes,
        thumbnail=_small(first.pixels),
    )


def _grabber(uri: str) -> tuple[tuple[str, ...], bool]:
    """Return the modes of a grabber, and whether the device is none."""
    scheme, _, asked = uri.partition(":")
    if scheme.lower() != "v4l2" or not asked:
        return (), False
    from edge_app.capture._v4l2 import Grabber, GrabberError
    from edge_app.capture.modes import ranked
    from edge_app.capture.v4l2 import parse_grabber

    plan = parse_grabber(asked)
    if plan.path is None:
        return (), False
    try:
        grabber = Grabber(plan.path)
    except GrabberError:
        return (), False  # opening it says why
    try:
        if not grabber.captures():
            return (), True
        return tuple(str(mode) for mode in ranked(grabber.modes(), plan.wish)[:MOST_MODES]), False
    except GrabberError:
        return (), False
    finally:
        grabber.close()


def _small(pixels: NDArray[np.uint8]) -> Thumbnail:
    import cv2

    height, width = pixels.shape[:2]
    scale = min(THUMBNAIL[0] / width, THUMBNAIL[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return Thumbnail(width=size[0], height=size[1], rgb=base64.b64encode(small.tobytes()).decode())


def connected(timeout_s: float) -> list[str]:
    """Return the names of the grabbers and screens that this computer shows; what hangs is left out."""
    context = multiprocessing.get_context("spawn")
    answers, end = context.Pipe(duplex=False)
    process = context.Process(target=_enumerate, args=(end,), name="echogfr-probe", daemon=True)
    process.start()
    end.close()
    try:
        return list(_received(answers, timeout_s))
    finally:
        process.kill()
        process.join(1.0)
        answers.close()


def _received(answers: Connection, timeout_s: float) -> Iterator[str]:
    until_s = time.monotonic() + timeout_s
    while answers.poll(max(0.0, until_s - time.monotonic())):
        try:
            yield answers.recv_bytes(MAX_MESSAGE_BYTES).decode()
        except EOFError:
            return


def _enumerate(answers: Connection) -> None:
    """Send one name after the other; the device files first, for they need no driver."""
    for kind in (_devices, _screens):
        try:
            names = kind()
        except EchoGFRError:
            continue  # the library of this kind is not there: then there is none of it
        for name in names:
            answers.send_bytes(name.encode())


def _devices() -> list[str]:
    from edge_app.capture._v4l2 import device_files

    return [f"v4l2:{path}" for path in device_files()]


def _screens() -> list[str]:
    from edge_app.capture._mss import Desktop, ScreenError

    try:
        with Desktop() as desktop:
            return [f"screen:{number + 1}" for number in range(len(desktop.screens))]
    except ScreenError:
        return []
