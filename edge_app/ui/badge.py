"""The badge of the live view: a sign and a word, so that colour is never the only cue."""

from __future__ import annotations

from typing import Final

from edge_app.ui import theme
from edge_app.ui._qt import QFontMetricsF, QPainter, QPen, QRectF, Qt
from edge_app.ui.panel import BadgeState

_SIGNS: Final[dict[BadgeState, str]] = {
    "STARTING": "◌",
    "LIVE": "●",
    "FROZEN": "■",
    "STALE": "◷",
    "LOST": "✕",
    "ENDED": "■",
    "FAILED": "✕",
}
_LOUD: Final = ("LOST", "FAILED")


def draw_badge(painter: QPainter, area: QRectF, state: BadgeState) -> float:
    """Draw the badge at the left of ``area``; return the x where it ends."""
    font = theme.font(0.55 * area.height(), bold=True)
    text = f"{_SIGNS[state]}  {state}"
    width = QFontMetricsF(font).horizontalAdvance(text) + area.height()
    chip = QRectF(area.left(), area.top(), width, area.height()).adjusted(1, 1, -1, -1)
    ink = theme.LOST if state in _LOUD else theme.STRONG if state == "FROZEN" else theme.TEXT
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(theme.colour(theme.LOST_GROUND if state in _LOUD else theme.RAISED))
    painter.setPen(QPen(theme.colour(ink if state != "LIVE" else theme.LINE), 1.5))
    painter.drawRoundedRect(chip, 6, 6)
    painter.setFont(font)
    painter.setPen(theme.colour(ink))
    painter.drawText(chip, Qt.AlignmentFlag.AlignCenter, text)
    return chip.right()
