"""The live view: the newest picture, letterboxed, with what was found in it and the operator's two handles."""

from __future__ import annotations

from typing import Final

from edge_app.live.link import FrameView
from edge_app.live.report import FrameReport, ProposalReport, TrackingReport
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
from edge_app.ui.border import Border
from edge_app.ui.border_editor import ARROWS, FAR_PX, STEP_PX, BorderEditor
from edge_app.ui.handles import GRAB_RADIUS, GRAB_RADIUS_PX, Handles, suggest
from edge_app.ui.layers import ALL, draw_found, draw_picture, is_other_image, lag_ms
from edge_app.ui.mapping import Letterbox, Point
from edge_app.ui.panel import BadgeState
from edge_app.ui.pictures import Picture, scaled
from edge_app.ui.strip import VEILED, Strip, draw_strip, draw_veil
from edge_app.ui.supply import FrameSupply

_BY_TAB: Final = (Qt.FocusReason.TabFocusReason, Qt.FocusReason.BacktabFocusReason)
_ACCEPT = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space)


class LiveView(QWidget):
    """Scales the newest picture straight out of the ring and paints it: nothing is queued or waited for.

    Signals: ``poles_placed(x1, y1, x2, y2, frame)``, pixels and index of the picture that was seen (-1: not known),
    when both handles are placed and let go; ``proposal_accepted``, the same, when the operator takes the proposed
    poles as they are; ``poles_cleared()`` when handles are taken away, by the operator or because the picture changed
    size.
    ``border_moved(nudge)`` a ``Nudge`` when the operator has moved the image's border, None for back as it is found.
    ``image_chosen(x, y)``, frame pixels, when the other of two images is tapped.
    """

    poles_placed = pyqtSignal(float, float, float, float, int)
    proposal_accepted = pyqtSignal(float, float, float, float, int)
    poles_cleared = pyqtSignal()
    border_moved = pyqtSignal(object)
    image_chosen = pyqtSignal(float, float)

    def __init__(self, supply: FrameSupply, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._supply = supply
        self._report: FrameReport | None = None
        self._badge: BadgeState = "STARTING"
        self._value_age = self._notice = ""  # age of a stale value; a sentence for the operator
        self._picture: Picture | None = None  # as it was painted last
        self._size: tuple[int, int] | None = None  # of that picture
        self._handles: Handles | None = None
        self._held: int | None = None
        self._editor = BorderEditor()
        self._nudged = False  # by an arrow key that is still down
        self._tracking: TrackingReport | None = None  # of these handles
        self._chosen = 0  # the handle that arrow keys move
        self._tabbed = False  # the keyboard came here by Tab: show it
        self.shows_refused = False  # marks that were not taken for calipers, and why
        self.masked = False  # True: for saving, nothing outside the sector is painted
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setAccessibleName("Ultrasound picture")

    def show_report(self, report: FrameReport | None) -> None:
        """Overlay this report, from the next picture on, as long as it belongs to what is on screen."""
        gone = report is None and self._report is not None
        self._report = report
        if gone:
            self.update()
        self._follow(report)

    def _follow(self, report: FrameReport | None) -> None:
        """Move the handles with the kidney, unless a hand is on them."""
        busy = self._held is not None or self._nudged
        if self._handles is None or not self._handles.complete or busy:
            return
        self._tracking = None if report is None else report.tracking
        if self._tracking is not None:
            self._handles = self._handles.followed(self._tracking)

    def show_frame(self, size: tuple[int, int]) -> None:
        """Paint the newest picture soon; handles of a picture of another (width, height) are taken away."""
        if self._size is not None and size != self._size:
            self.clear_handles()
            self.leave_border()
        self._size = size
        self.update()

    def show_badge(self, state: BadgeState, value_age: str = "") -> None:
        """Say in the strip above the picture its state and, if the value is stale, how old that is."""
        if (state, value_age) != (self._badge, self._value_age):
            self._badge, self._value_age = state, value_age
            self.update()

    def show_notice(self, notice: str) -> None:
        """Say a sentence in the strip above the picture, until another or none is to be said."""
        self._notice = notice
        self.update()

    def toggle_refused(self) -> None:
        """Show or hide the marks that were not taken for calipers, each with the reason."""
        self.shows_refused = not self.shows_refused
        self.update()

    @property
    def handles(self) -> Handles | None:
        """The operator's handles, or None."""
        return self._handles

    def place_handles(self) -> None:
        """Offer handles at the calipers, or across the sector; they count once the operator placed both."""
        if self._size is None:
            return
        report = self._near
        box = report.sector.bbox if report and report.sector else (0, 0, *self._size)
        self._tracking = None
        self._handles = suggest(report.calipers if report else (), box)
        self._chosen = 0
        self.setFocus()
        self.update()

    def clear_handles(self) -> None:
        """Take the handles away and go back to the scanner's own calipers."""
        if self._handles is not None:
            self._handles, self._held, self._nudged, self._tracking = None, None, False, None
            self.poles_cleared.emit()
            self.update()

    def accept_handles(self) -> None:
        """Take the suggested handles as they stand."""
        if self._handles is not None:
            self._handles = self._handles.accepted()
            self._announce()

    @property
    def proposal(self) -> ProposalReport | None:
        """The proposed poles that are on the screen, or None."""
        near = self._near
        return near.proposal if near is not None and self._handles is None and self.border is None else None

    def accept_proposal(self) -> None:
        """Make the proposed poles the operator's handles, if there are any."""
        if (proposal := self.proposal) is not None:
            x1, y1, x2, y2 = proposal.poles
            self._handles, self._chosen, self._tracking = Handles((x1, y1), (x2, y2)).accepted(), 0, None
            self.setFocus()
            self.update()
            seen = -1 if self._report is None else self._report.frame
            self.proposal_accepted.emit(x1, y1, x2, y2, seen)

    def _announce(self) -> None:
        self._nudged = False
        self.update()
        if self._handles is not None and self._handles.complete and self._handles.length_px >= 1.0:
            seen = -1 if self._picture is None else self._picture.index
            self.poles_placed.emit(*self._handles.first, *self._handles.second, seen)

    def _move(self, index: int, to: Point) -> None:
        if self._handles is not None:
            self._handles = self._handles.moved(index, self.letterbox().clamp(to))
            self._chosen, self._tracking = index, None
            self.update()

    @property
    def border(self) -> Border | None:
        """The image's border while the operator moves it, or None."""
        return self._editor.border

    def edit_border(self) -> None:
        """Begin to move the image's border, or keep it where it is now."""
        if self.border is not None:
            return self.keep_border()
        if self._size is None or self._handles is not None:
            return None
        self._editor.begin(self._size, self._near)
        self.setFocus()
        return self.update()

    def keep_border(self) -> None:
        """Keep the border where it is, and end."""
        border, size = self._editor.end(), self._size
        self.update()
        if border is not None and size is not None and border.moved:
            self.border_moved.emit(border.nudge(size))

    def leave_border(self) -> None:
        """End, and leave the border as it was."""
        self._editor.end()
        self.update()

    def _border_key(self, key: Qt.Key, far: bool) -> bool:
        """Do what a key means while the border is moved. True: it means something."""
        meant = self._editor.key(key, far)
        if meant == "keep":
            self.keep_border()
        elif meant == "reset":
            self.leave_border()
            self.border_moved.emit(None)
        self.update()
        return meant is not None

    def focusNextPrevChild(self, next: bool) -> bool:
        """Keep Tab while the border is moved: it chooses a side."""
        return False if self.border is not None else super().focusNextPrevChild(next)

    def _tap_image(self, at: Point) -> None:
        """Ask for the other image where it was tapped."""
        if (near := self._near) is not None and is_other_image(near, at):
            self.image_chosen.emit(*at)

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

    @property
    def _near(self) -> FrameReport | None:
        """The newest report, if it was said of about the picture that is on the screen."""
        report = self._report
        if report is None or self._picture is None:
            return None
        return report if abs(self._picture.t_ms - report.t_ms) <= lag_ms(report) else None

    def mousePressEvent(self, a0: QMouseEvent | None) -> None:
        """Take hold of a handle or of the border, accept proposed poles, or choose an image."""
        if a0 is None or a0.button() != Qt.MouseButton.LeftButton:
            return
        box = self.letterbox()
        at = box.to_frame((a0.position().x(), a0.position().y()))
        reach = max(GRAB_RADIUS_PX, GRAB_RADIUS * theme.unit_of(self)) / box.scale
        if self.border is not None:
            self._editor.press(at, reach)
            return self.update()
        if self._handles is None:
            return None if self._touch_proposal(at, reach) else self._tap_image(at)
        self._held = self._handles.grabbed(at, reach)
        if self._held is not None:
            self._move(self._held, at)

    def _touch_proposal(self, at: Point, radius: float) -> bool:
        """Accept the proposed poles if one of them is touched; return whether one was."""
        if (proposal := self.proposal) is None:
            return False
        x1, y1, x2, y2 = proposal.poles
        touched = Handles((x1, y1), (x2, y2)).nearest(at)[1] <= radius
        if touched:
            self.accept_proposal()
        return touched

    def mouseMoveEvent(self, a0: QMouseEvent | None) -> None:
        """Drag the held handle, or the held side of the border; it stays within the picture."""
        if a0 is None:
            return
        at = self.letterbox().to_frame((a0.position().x(), a0.position().y()))
        if self.border is not None:
            self._editor.drag(at)
            self.update()
        elif self._held is not None:
            self._move(self._held, at)

    def mouseReleaseEvent(self, a0: QMouseEvent | None) -> None:
        """Let go; from here on the poles count."""
        self._editor.release()
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
        """Arrow keys nudge the chosen handle, 1 and 2 choose it, Enter accepts both, or the proposed poles."""
        far = a0 is not None and bool(a0.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        if a0 is None or not self._key(Qt.Key(a0.key()), far):
            super().keyPressEvent(a0)

    def _key(self, key: Qt.Key, far: bool) -> bool:
        """Do what a key means now. True: it means something."""
        if self.border is not None:
            return self._border_key(key, far)
        if key in _ACCEPT and self.proposal is not None:
            self.accept_proposal()
        elif self._handles is None:
            return False
        elif key in ARROWS:
            self._nudge(ARROWS[key], FAR_PX if far else STEP_PX)
        elif key in (Qt.Key.Key_1, Qt.Key.Key_2):
            self._chosen = int(key == Qt.Key.Key_2)
            self.update()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.accept_handles()
        else:
            return False
        return True

    def keyReleaseEvent(self, a0: QKeyEvent | None) -> None:
        """Announce the poles when an arrow key is let go, not at each of its repeats."""
        if a0 is not None and self._handles is not None and a0.key() in ARROWS and not a0.isAutoRepeat():
            self._announce()
        super().keyReleaseEvent(a0)

    def _nudge(self, direction: Point, step_px: float) -> None:
        if self._handles is not None:
            self._nudged = True
            x, y = self._handles.at(self._chosen)
            self._move(self._chosen, (x + direction[0] * step_px, y + direction[1] * step_px))

    def paintEvent(self, a0: QPaintEvent | None) -> None:
        """Paint the picture and what belongs to it."""
        taken = self._take()
        painter = QPainter(self)
        painter.fillRect(self.rect(), theme.colour(theme.GROUND))
        if taken is not None:
            self._paint_picture(painter, taken)
        if self._badge in VEILED or taken is None:
            area = QRectF(0, self.strip_px(), self.width(), self.height() - self.strip_px())
            draw_veil(painter, area, self._badge, self.strip_px())
        draw_strip(painter, self.width(), self.strip_px(), self.strip())
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
        box, unit, report = self.letterbox(), theme.unit_of(self), self._report
        sector = None if report is None else report.sector
        draw_picture(painter, box, picture, self.devicePixelRatioF(), sector if self.masked else ALL)
        if (near := self._near) is not None:
            draw_found(painter, box, near, unit, refused=self.shows_refused)
        if self.border is not None:
            overlays.draw_border(painter, box, self.border)
        if (proposal := self.proposal) is not None:
            overlays.draw_proposal(painter, box, proposal.poles, unit)
        if self._handles is not None:
            lost = self._tracking is not None and self._tracking.state == "lost"
            overlays.draw_handles(painter, box, self._handles, None if lost else self._chosen, unit)

    def strip(self) -> Strip:
        """Return what the strip above the picture is made from now."""
        return Strip(
            badge=self._badge,
            value_age=self._value_age,
            report=self._report,
            frame=None if self._picture is None else self._picture.index,
            notice=self._notice,
            border=self.border is not None,
            handles=None if self._handles is None else self._handles.complete,
            tracking=None if self._tracking is None else self._tracking.state,
            proposal=self.proposal is not None,
        )
