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
    "WAITING": "◌",
    "LOST": "✕",
    "RECOVERING": "↻",
    "ENDED": "■",
    "FAILED": "✕",
}
_LOUD: Final = ("LOST", "RECOVERING", "FAILED")


def draw_badge(painter: QPainter, area: QRectF, state: BadgeState) -> float:
    """Draw the badge at the left of ``area``; return the x where it ends."""
    ink = theme.LOST if state in _LOUD else theme.STRONG if state == "FROZEN" else theme.TEXT
    ground = theme.LOST_GROUND if state in _LOUD else theme.RAISED
    border = ink if state != "LIVE" else theme.LINE
    return _draw_chip(painter, area, f"{_SIGNS[state]}  {state}", (ink, ground, border))


def draw_value_age(painter: QPainter, area: QRectF, age: str) -> float:
    """Draw that the value is old, whatever the picture does; return the x where it ends."""
    return _draw_chip(painter, area, f"◷  VALUE STALE {age}", (theme.STRONG, theme.GROUND, theme.STRONG))


def _draw_chip(painter: QPainter, area: QRectF, text: str, colours: tuple[str, str, str]) -> float:
    """Draw a text in a rounded frame; ``colours`` are ink, ground and border."""
    ink, ground, border = colours
    font = theme.font(0.55 * area.height(), bold=True)
    width = QFontMetricsF(font).horizontalAdvance(text) + area.height()
    chip = QRectF(area.left(), area.top(), width, area.height()).adjusted(1, 1, -1, -1)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(theme.colour(ground))
    painter.setPen(QPen(theme.colour(border), 1.5))
    painter.drawRoundedRect(chip, 6, 6)
    painter.setFont(font)
    painter.setPen(theme.colour(ink))
    painter.drawText(chip, Qt.AlignmentFlag.AlignCenter, text)
    return chip.right()
