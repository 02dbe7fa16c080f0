"""Snapshot: one frame with what was found and said, identity masked, as PNG."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.atomic import check_writable, explained, replacing
from edge_app.imaging.redact import Reader, read_words, redactor_of, require_reader
from edge_app.imaging.scene import Sector
from edge_app.live.phrases import phrases
from edge_app.live.report import FrameReport
from engines.errors import UsageError

SECTOR = (90, 160, 230)  # RGB; colours of the drawing
CROP = (255, 170, 60)
MARKERS = (90, 230, 140)
TEXT = (225, 225, 225)
LINE_PX = 22  # height of a line of the caption
MARKER_PX = 13  # radius of the ring around a marker: the marker itself stays visible
CHARACTER_PX = 9  # of the caption, on average
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_SCALE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A frame, uint8 (H, W, 3) RGB, its sector if one was found, and its report."""

    pixels: NDArray[np.uint8]
    sector: Sector | None
    report: FrameReport


def check_snapshot(path: Path, read: Reader | None = read_words) -> None:
    """Refuse early a name that no snapshot can be written to, or words that cannot be read; raises ``UsageError``."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"'{path}' cannot be the snapshot", "it is written as PNG", "give a name that ends in .png")
    check_writable(path)
    if read is not None:
        require_reader()


def write_snapshot(shot: Shot, path: Path, read: Reader | None = read_words) -> None:
    """Write the PNG, whole or not at all.

    ``read`` finds words inside the image, which are hidden where they may name the patient; None: by consent, they
    are not looked for.

    Raises
    ------
    UsageError, ResidueError
        That fails, or words are left that cannot be hidden.
    """
    good, png = cv2.imencode(".png", cv2.cvtColor(draw(shot, read), cv2.COLOR_RGB2BGR))
    if not good:
        raise UsageError(f"{path} cannot be written", "the picture cannot be encoded", "choose a smaller source")
    with replacing(path) as unfinished, explained(path):
        unfinished.write_bytes(png.tobytes())


def draw(shot: Shot, read: Reader | None = read_words) -> NDArray[np.uint8]:
    """Return the masked frame with sector, markers and crop, and the caption below it, RGB."""
    picture = redactor_of(shot.pixels, shot.sector, read).redacted(shot.pixels, "The snapshot is not written")
    _draw_found(picture, shot.report)
    columns = max(20, picture.shape[1] // CHARACTER_PX)
    lines = [part for line in caption(shot.report) for part in wrap(line, columns)]
    band = np.zeros((LINE_PX * len(lines) + LINE_PX // 2, picture.shape[1], 3), np.uint8)
    for row, line in enumerate(lines):
        cv2.putText(band, line, (8, LINE_PX * (row + 1) - 4), FONT, FONT_SCALE, TEXT, 1, cv2.LINE_AA)
    return np.vstack([picture, band])


def caption(report: FrameReport) -> list[str]:
    """Return what is said of the frame, ASCII lines: frame and time first, never a number without them."""
    lines = [f"frame {report.frame}, {report.t_ms / 1000:.2f} s, {report.state}"]
    reading = report.reading
    if reading is not None:
        main, *others = phrases(reading.values)
        lines += [main, "; ".join([*others, f"{reading.bundle}, {reading.precision}"])]
        if reading.synthetic:
            lines.append("SYNTHETIC stand-in model: no patient's value")
        if not reading.in_domain:
            lines.append("OUT OF DOMAIN: unlike the pictures that the model was made for")
    if report.refusal is not None:
        lines.append(f"no number: {report.refusal.code}")
        lines.append(report.refusal.reason)
    return lines


def _draw_found(picture: NDArray[np.uint8], report: FrameReport) -> None:
    if report.sector is not None and report.sector.outline:
        outline = np.rint(np.asarray(report.sector.outline)).astype(np.int32)
        cv2.polylines(picture, [outline], True, SECTOR, 1, cv2.LINE_AA)
    for x1, y1, x2, y2 in report.calipers:
        _draw_markers(picture, (x1, y1, x2, y2))
    if report.crop is not None:
        crop = report.crop
        _draw_markers(picture, crop.poles)
        # edges lie half a pixel before the centre of the pixel that they begin
        corners = [round(edge - 0.5) for edge in (crop.x0, crop.y0, crop.x1, crop.y1)]
        cv2.rectangle(picture, (corners[0], corners[1]), (corners[2], corners[3]), CROP, 1)


def _draw_markers(picture: NDArray[np.uint8], ends: tuple[float, float, float, float]) -> None:
    for x, y in (ends[:2], ends[2:]):
        cv2.circle(picture, (round(x), round(y)), MARKER_PX, MARKERS, 1, cv2.LINE_AA)
