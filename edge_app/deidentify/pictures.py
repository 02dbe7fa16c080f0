"""Stills and clips, masked and written anew: pixels and times are kept, sound and metadata are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.atomic import explained, replacing
from edge_app.capture.base import Frame, FrameSource, frames
from edge_app.capture.open import open_source
from edge_app.deidentify.area import redactor_for
from edge_app.deidentify.plan import RefusedFileError, Rules, Tick
from edge_app.deidentify.watch import Watch
from edge_app.imaging.redact import Redactor
from engines import synthetic_mark

if TYPE_CHECKING:
    from edge_app.capture._av import VideoFile

STEADY_FPS = 25.0  # where the container claims nothing that can be; times are written frame by frame anyhow


def write_still(original: Path, path: Path, rules: Rules, tick: Tick) -> tuple[Redactor, int]:
    """Write a masked copy of a still as PNG; raises as ``redactor_for`` and ``Redactor.redacted``."""
    what = f"{original} is not written"
    redactor, count = redactor_for(_frames(f"file:{original}"), rules, what, tick)
    frame = next(_frames(f"file:{original}"))
    masked = _marked(redactor.redacted(frame.pixels, what), frame.pixels)
    good, png = cv2.imencode(".png", cv2.cvtColor(masked, cv2.COLOR_RGB2BGR))
    if not good:
        raise RefusedFileError("cannot-write", what, "it cannot be encoded as PNG", "report this")
    with replacing(path) as unfinished, explained(path):
        unfinished.write_bytes(png.tobytes())
    return redactor, count


def write_video(original: Path, path: Path, rules: Rules, tick: Tick) -> tuple[Redactor, int]:
    """Write a masked copy of a clip as H.264 in MP4; raises as ``redactor_for``, or ``ResidueError``."""
    uri, what = f"file:{original}", f"{original} is not written"
    redactor, count = redactor_for(_frames(uri), rules, what, tick)
    watch = Watch(redactor, count, what)
    with replacing(path) as unfinished:
        while watch.again():
            _encode(uri, unfinished, watch, tick)
    return redactor, count


def _encode(uri: str, path: Path, watch: Watch, tick: Tick) -> None:
    """Write the frames as far as no words are found in them."""
    from edge_app.capture._av import MediaError

    file: VideoFile | None = None
    try:
        with open_source(uri) as source:
            for frame in frames(source):
                masked = watch.masked(frame.index, frame.t_ms, frame.pixels)
                if not watch.stained:
                    file = file or _file(path, source, masked)
                    file.write(_marked(masked, frame.pixels), frame.t_ms)
                tick()
        if file is not None and not watch.stained:
            file.end()
    except MediaError as error:
        cure = "check the disk, or convert the clip to MP4"
        raise RefusedFileError("cannot-write", f"{uri} is not written", error.because, cure) from error
    finally:
        if file is not None:
            file.close()


def _marked(masked: NDArray[np.uint8], original: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a masked picture with the synthetic mark of its original, if that has it: it must not pass for a scan."""
    if not synthetic_mark.present(original):
        return masked
    marked: NDArray[np.uint8] = masked.copy()
    synthetic_mark.draw(marked)
    return marked


def _file(path: Path, source: FrameSource, first: NDArray[np.uint8]) -> VideoFile:
    from edge_app.capture._av import VideoFile

    return VideoFile(str(path), (first.shape[1], first.shape[0]), source.info.fps or STEADY_FPS)


def _frames(uri: str) -> Iterator[Frame]:
    with open_source(uri) as source:
        yield from frames(source)
