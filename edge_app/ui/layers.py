"""Layers of the live view: the picture itself, masked or not, and what was found in it."""

from __future__ import annotations

from typing import Final, Literal

from edge_app.live.report import FrameReport, SectorReport
from edge_app.ui import overlays
from edge_app.ui._qt import QPainter, QRectF
from edge_app.ui.mapping import Letterbox, Point
from edge_app.ui.pictures import Picture, image_over

ALL: Final = "all"  # of the picture is painted
OVERLAY_LAG_MS = 200.0  # never older over a moving picture (clinic-and-paper 4.3)
OVERLAY_LAG_FROZEN_MS = 1000.0  # the picture stands still, so it is still true a little longer


def draw_picture(
    painter: QPainter, box: Letterbox, picture: Picture, ratio: float, shown: SectorReport | Literal["all"] | None
) -> None:
    """Draw a scaled picture, or of it the image alone: identity is burned in around it. Without one, nothing.

    ``ratio`` is how many of the picture's pixels there are to one of the widget's.
    """
    painter.save()
    if shown is None:
        painter.setClipRect(QRectF())
    elif shown != ALL:
        painter.setClipPath(overlays.outline_path(box, shown.outline))
    image = image_over(picture.pixels)
    image.setDevicePixelRatio(ratio)
    painter.drawImage(_target(box).topLeft(), image)
    painter.restore()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)


def draw_found(painter: QPainter, box: Letterbox, report: FrameReport, unit: float, *, refused: bool) -> None:
    """Draw what a report says of the picture; ``refused``: marks that were not taken for calipers too."""
    painter.setClipRect(_target(box))
    overlays.draw_others(painter, box, report)
    overlays.draw_report(painter, box, report, unit)
    if refused:
        overlays.draw_refused(painter, box, report, unit)
    painter.setClipping(False)


def lag_ms(report: FrameReport) -> float:
    """Return how far from its own picture a report may be drawn, milliseconds of the stream."""
    rests = report.frozen and report.refusal is None  # markers are still set on a frozen picture
    return OVERLAY_LAG_FROZEN_MS if rests else OVERLAY_LAG_MS


def is_other_image(report: FrameReport, at: Point) -> bool:
    """Tell whether a place of the frame lies in an image that may be chosen."""
    if not report.others:
        return False
    asked = [report.sector] if report.undecided and report.sector is not None else []
    boxes = (image.bbox for image in (*report.others, *asked))
    return any(x0 <= at[0] < x1 and y0 <= at[1] < y1 for x0, y0, x1, y1 in boxes)


def _target(box: Letterbox) -> QRectF:
    return QRectF(*box.to_widget((-0.5, -0.5)), box.width * box.scale, box.height * box.scale)
