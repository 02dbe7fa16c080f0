"""The strip above the picture: its state, how old a stale value is, and what the operator may do now; and the veil."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from edge_app.live.report import FrameReport
from edge_app.ui import theme
from edge_app.ui._qt import QPainter, QRectF, Qt
from edge_app.ui.badge import draw_badge, draw_value_age
from edge_app.ui.panel import BadgeState
from edge_app.ui.wording import BORDER_HINT, FOLLOWING, IN_USE, PLACE_HINT, PROPOSED, TWO_IMAGES

VEILED: Final = ("LOST", "FAILED")  # nobody vouches for the picture that is still there


@dataclass(frozen=True, slots=True)
class Strip:
    """What the strip is made from."""

    badge: BadgeState
    value_age: str  # of a stale value, else empty
    report: FrameReport | None
    frame: int | None  # on the screen
    notice: str  # a sentence for the operator, else empty
    border: bool  # is moved now
    handles: bool | None  # None: there are none; whether both are placed
    tracking: str | None  # state of the handles, where they are followed
    proposal: bool  # poles are proposed

    @property
    def text(self) -> str:
        """The sentence beside the badge."""
        if self.border:
            return BORDER_HINT
        if self.handles is None and (asked := self._asked()):
            return asked
        if self.handles is not None:
            in_use = IN_USE if self.tracking is None else FOLLOWING[self.tracking]
            return in_use if self.handles else PLACE_HINT
        if self.proposal:
            return PROPOSED
        return "" if self.frame is None else f"frame {self.frame}"

    def _asked(self) -> str:
        if self.notice:
            return self.notice
        if self.report is not None and self.report.undecided:
            return TWO_IMAGES
        return "" if self.report is None or self.report.notice is None else self.report.notice

    @property
    def colour(self) -> str:
        """Of the sentence: a loss, a question, or less."""
        undecided = self.report is not None and self.report.undecided
        asks = self.handles is not None or self.border or self.proposal or undecided or bool(self.notice)
        return theme.LOST if self.tracking == "lost" else theme.HANDLE if asks else theme.QUIET


def draw_strip(painter: QPainter, width: float, height: float, strip: Strip) -> None:
    """Draw the strip from the upper left corner on."""
    painter.fillRect(QRectF(0, 0, width, height), theme.colour(theme.GROUND))
    used = draw_badge(painter, QRectF(0, 0, width, height - 4), strip.badge)
    if strip.value_age and strip.handles is not False:
        used += height / 4
        used = draw_value_age(painter, QRectF(used, 0, width - used, height - 4), strip.value_age)
    rest = QRectF(used + height / 2, 0, width - used - height / 2, height - 4)
    painter.setFont(theme.font(0.4 * height))
    painter.setPen(theme.colour(strip.colour))
    painter.drawText(rest, Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextWordWrap, strip.text)


def draw_veil(painter: QPainter, area: QRectF, badge: BadgeState, size: float) -> None:
    """Cover a picture that nobody vouches for, and say so; ``size`` of the letters, pixels."""
    painter.fillRect(area, theme.colour(theme.GROUND, 190))
    painter.setPen(theme.colour(theme.LOST if badge in VEILED else theme.QUIET))
    painter.setFont(theme.font(size, bold=True))
    text = {"LOST": "PICTURE LOST", "FAILED": "STOPPED"}.get(badge, "No picture yet")
    painter.drawText(area, Qt.AlignmentFlag.AlignCenter, text)
