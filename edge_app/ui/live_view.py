"""The live view: the newest picture, letterboxed, with what was found in it and the operator's two handles."""

from __future__ import annotations

from typing import Final

from edge_app.live.link import FrameView
from edge_app.live.report import FrameReport
from edge_app.ui import overlays, theme
from edge_app.ui._qt import (
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QRectF,
    QSize,
    Qt,
    QWidget,
    pyqtSignal,
)
from edge_app.ui.badge import draw_badge, draw_value_age
from edge_app.ui.handles import GRAB_RADIUS, GRAB_RADIUS_PX, Handles, suggest
from edge_app.ui.mapping import Letterbox, Point
from edge_app.ui.panel import BadgeState
from edge_app.ui.pictures import Picture, image_over, scaled
from edge_app.ui.supply import FrameSupply
from edge_app.ui.wording import FOLLOW_NOT, IN_USE, PLACE_HINT

OVERLAY_LAG_MS = 200.0  # never older over a moving picture (clinic-and-paper 4.3)
OVERLAY_LAG_FROZEN_MS = 1000.0  # the picture stands still, so it is still true a little longer
NUDGE_PX, NUDGE_FAR_PX = 1.0, 10.0  # frame pixels an arrow key; with Shift

VEILED: Final = ("LOST", "FAILED")  # nobody vouches for the picture that is still there

_BY_TAB: Final = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
_ARROWS = {
    Qt.Key.Key_Left: (-1.0, 0.0),
    Qt.Key.Key_Right: (1.0, 0.0),
    Qt.Key.Key_Up: (0.0, -1.0),
    Qt.Key.Key_Down: (0.0, 1.0),
}


class LiveView(QWidget):
    """Scales the newest picture straight out of the ring and paints it: nothing is queued or waited for.

    Signals: ``poles_placed(x1, y1, x2, y2)``, frame pixels, when both handles are placed and let go;
    ``poles_cleared()`` when they are taken away, by the operator or because the picture changed size.
    """

    poles_placed = pyqtSignal(float, float, float, float)
    poles_cleared = pyqtSignal()

    def __init__(self, supply: FrameSupply, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._supply = supply
        self._report: FrameReport | None = None
        self._badge: BadgeState = "STARTING"
        self._value_age = ""  # of a stale value, else empty
        self._picture: Picture | None = None  # as it was painted last
        self._size: tuple[int, int] | None = None  # of that picture
        self._handles: Handles | None = None
        self._held: int | None = None
        self._chosen = 0  # the handle that arrow keys move
        self._tabbed = False  # the keyboard came here by Tab: show it
        self.shows_refused = False  # marks that were not taken for calipers, and why
        self.masked = False  # True: for saving, nothing outside the sector is painted
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Ultrasound picture")

    # -- what the window tells it ---------------------------------------------------------------------

    def show_report(self, report: FrameReport | None) -> None:
        """Overlay this report, from the next picture on, as long as it belongs to what is on screen."""
        gone = report is None and self._report is not None
        self._report = report
        if gone:
            self.update()

    def show_frame(self, size: tuple[int, int]) -> None:
        """Paint the newest picture soon; handles of a picture of another (width, height) are taken away."""
        if self._size is not None and size != self._size:
            self.clear_handles()
        self._size = size
        self.update()

    def show_badge(self, state: BadgeState, value_age: str = "") -> None:
        """Say in the strip above the picture its state and, if the value is stale, how old that is."""
        if (state, value_age) != (self._badge, self._value_age):
            self._badge, self._value_age = state, value_age
            self.update()

    def toggle_refused(self) -> None:
        """Show or hide the marks that were not taken for calipers, each with the reason."""
        self.shows_refused = not self.shows_refused
        self.update()

    # -- handles --------------------------------------------------------------------------------------

    @property
    def handles(self) -> Handles | None:
        """The operator's handles, or None."""
        return self._handles

    def place_handles(self) -> None:
        """Offer handles at the calipers, or across the sector; they count once the operator placed both."""
        if self._size is None:
            return
        report = self._report if self._report and self._is_near(self._report) else None
        box = report.sector.bbox if report and report.sector else (0, 0, *self._size)
        self._handles = suggest(report.calipers if report else (), box)
        self._chosen = 0
        self.setFocus()
        self.update()

    def clear_handles(self) -> None:
        """Take the handles away and go back to the scanner's own calipers."""
        if self._handles is not None:
            self._handles, self._held = None, None
            self.poles_cleared.emit()
            self.update()

    def accept_handles(self) -> None:
        """Take the suggested handles as they stand."""
        if self._handles is not None:
            self._handles = self._handles.accepted()
            self._announce()

    def _announce(self) -> None:
        self.update()
        if self._handles is not None and self._handles.complete and self._handles.length_px >= 1.0:
            self.poles_placed.emit(*self._handles.first, *self._handles.second)

    def _move(self, index: int, to: Point) -> None:
        if self._handles is not None:
            self._handles = self._handles.moved(index, self.letterbox().clamp(to))
            self._chosen = index
            self.update()

    # -- geometry -------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        """Prefer a 4:3 picture."""
        return QSize(800, 640)

    def strip_px(self) -> float:
        """Height of the strip above the picture, widget pixels."""
        return 1.9 * theme.unit_of(self)

    def letterbox(self) -> Letterbox:
        """Return where the picture lies in the widget now."""
        strip = self.strip_px()
        return Letterbox.fit(self._size or (4, 3), (0, strip, self.width(), max(1.0, self.height() - strip)))

    def _is_near(self, report: FrameReport) -> bool:
        if self._picture is None:
            return False
        rests = report.frozen and report.refusal is None  # markers are still set on a frozen picture
        limit = OVERLAY_LAG_FROZEN_MS if rests else OVERLAY_LAG_MS
        return abs(self._picture.t_ms - report.t_ms) <= limit

    # -- events ---------------------------------------------------------------------------------------

    def mousePressEvent(self, a0: QMouseEvent | None) -> None:
        """Take hold of a handle."""
        if a0 is None or self._handles is None or a0.button() != Qt.MouseButton.LeftButton:
            return
        box = self.letterbox()
        at = box.to_frame((a0.position().x(), a0.position().y()))
        self._held = self._handles.grabbed(at, max(GRAB_RADIUS_PX, GRAB_RADIUS * theme.unit_of(self)) / box.scale)
        if self._held is not None:
            self._move(self._held, at)

    def mouseMoveEvent(self, a0: QMouseEvent | None) -> None:
        """Drag the held handle; it stays within the picture."""
        if a0 is not None and self._held is not None:
            self._move(self._held, self.letterbox().to_frame((a0.position().x(), a0.position().y())))

    def mouseReleaseEvent(self, a0: QMouseEvent | None) -> None:
        """Let go; from here on the poles count."""
        if self._held is not None:
            self._held = None
            self._announce()

    def focusInEvent(self, a0: QFocusEvent | None) -> None:
        """Show a ring when the keyboard walks here; a touch needs none."""
        self._tabbed = a0 is not None and a0.reason() in _BY_TAB
        super().focusInEvent(a0)

    def focusOutEvent(self, a0: QFocusEvent | None) -> None:
        """Take the ring away."""
        self._tabbed = False
        super().focusOutEvent(a0)

    def keyPressEvent(self, a0: QKeyEvent | None) -> None:
        """Arrow keys nudge the chosen handle, 1 and 2 choose it, Enter accepts both."""
        if a0 is None or self._handles is None:
            return super().keyPressEvent(a0)
        key = Qt.Key(a0.key())
        if key in _ARROWS:
            far = bool(a0.modifiers() & Qt.KeyboardModifier.ShiftModifier)
            self._nudge(_ARROWS[key], NUDGE_FAR_PX if far else NUDGE_PX)
        elif key in (Qt.Key.Key_1, Qt.Key.Key_2):
            self._chosen = int(key == Qt.Key.Key_2)
            self.update()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.accept_handles()
        else:
            super().keyPressEvent(a0)

    def keyReleaseEvent(self, a0: QKeyEvent | None) -> None:
        """Announce the poles when an arrow key is let go, not at each of its repeats."""
        if a0 is not None and self._handles is not None and a0.key() in _ARROWS and not a0.isAutoRepeat():
            self._announce()
        super().keyReleaseEvent(a0)

    def _nudge(self, direction: Point, step_px: float) -> None:
        if self._handles is not None:
            x, y = self._handles.at(self._chosen)
            self._move(self._chosen, (x + direction[0] * step_px, y + direction[1] * step_px))

    # -- painting -------------------------------------------------------------------------------------

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Paint the picture and what belongs to it."""
        taken = self._take()
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.colour(theme.GROUND))
        if taken is not None:
            self._paint_picture(painter, taken)
        if self._badge in VEILED or taken is None:
            self._paint_veil(painter)
        self._paint_strip(painter)
        if self._tabbed:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(theme.colour(theme.TEXT), 2))
            painter.drawRect(QRectF(self.rect()).adjusted(1, self.strip_px(), -1, -1))
        painter.end()

    @property
    def can_be_saved(self) -> bool:
        """Whether the frame of the newest report is still there, with the sector that masks it."""
        return self._reported() is not None and self._report is not None and self._report.sector is not None

    def _reported(self) -> FrameView | None:
        return self._supply.frame(self._report.frame) if self._report is not None else None

    def _take(self) -> Picture | None:
        """Scale a picture out of the ring; a torn one is thrown away, and the one before stays."""
        # for saving: only the very frame that its sector was found in
        view = self._reported() if self.masked else self._supply.newest_frame()
        if view is None:
            return None
        self._size = (view.pixels.shape[1], view.pixels.shape[0])
        size = self.letterbox().shown_size(self.devicePixelRatioF())
        picture = Picture(view.index, view.t_ms, scaled(view.pixels, size))
        if not view.intact:
            self.update()
            return None if self.masked else self._picture
        self._picture = picture
        return picture

    def _paint_picture(self, painter: QPainter, picture: Picture) -> None:
        box = self.letterbox()
        painter.save()
        if self.masked:
            self._mask(painter, box)
        target = QRectF(*box.to_widget((-0.5, -0.5)), box.width * box.scale, box.height * box.scale)
        image = image_over(picture.pixels)
        image.setDevicePixelRatio(self.devicePixelRatioF())
        painter.drawImage(target.topLeft(), image)
        painter.restore()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setClipRect(target)
        if self._report is not None and self._is_near(self._report):
            overlays.draw_report(painter, box, self._report, theme.unit_of(self))
            if self.shows_refused:
                overlays.draw_refused(painter, box, self._report, theme.unit_of(self))
        painter.setClipping(False)
        if self._handles is not None:
            overlays.draw_handles(painter, box, self._handles, self._chosen, theme.unit_of(self))

    def _mask(self, painter: QPainter, box: Letterbox) -> None:
        """Identity is burned in outside the sector: without a sector nothing is painted."""
        sector = self._report.sector if self._report is not None else None
        if sector is None:
            painter.setClipRect(QRectF())
        else:
            painter.setClipPath(overlays.outline_path(box, sector.outline))

    def _paint_veil(self, painter: QPainter) -> None:
        strip = self.strip_px()
        area = QRectF(0, strip, self.width(), self.height() - strip)
        painter.fillRect(area, theme.colour(theme.GROUND, 190))
        painter.setPen(theme.colour(theme.LOST if self._badge in VEILED else theme.QUIET))
        painter.setFont(theme.font(strip, bold=True))
        text = {"LOST": "PICTURE LOST", "FAILED": "STOPPED"}.get(self._badge, "No picture yet")
        painter.drawText(area, Qt.AlignmentFlag.AlignCenter, text)

    def _paint_strip(self, painter: QPainter) -> None:
        strip = self.strip_px()
        painter.fillRect(QRectF(0, 0, self.width(), strip), theme.colour(theme.GROUND))
        used = draw_badge(painter, QRectF(0, 0, self.width(), strip - 4), self._badge)
        if self._value_age and (self._handles is None or self._handles.complete):
            used += strip / 4
            used = draw_value_age(painter, QRectF(used, 0, self.width() - used, strip - 4), self._value_age)
        rest = QRectF(used + strip / 2, 0, self.width() - used - strip / 2, strip - 4)
        painter.setFont(theme.font(0.4 * strip))
        painter.setPen(theme.colour(theme.HANDLE if self._handles else theme.QUIET))
        painter.drawText(rest, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap, self._strip_text())

    def _strip_text(self) -> str:
        if self._handles is not None:
            return PLACE_HINT if not self._handles.complete else IN_USE + FOLLOW_NOT * (self._badge == "LIVE")
        return f"frame {self._picture.index}" if self._picture is not None else ""
