"""Colours, sizes and fonts for a dark room: near-black ground, soft text, one accent a meaning."""

from __future__ import annotations

from typing import Final

from edge_app.ui._qt import QApplication, QColor, QFont, QPalette, QStyleFactory, QWidget

GROUND: Final = "#0b0e10"
SURFACE: Final = "#14191d"
RAISED: Final = "#20282e"
LINE: Final = "#35414a"
TEXT: Final = "#d3dadf"
STRONG: Final = "#f2f5f7"
QUIET: Final = "#93a1ab"  # 6.9:1 on SURFACE: still readable when it is not important
GREYED: Final = "#6f7b84"  # a stale number: 4.1:1, and never without the word STALE
HANDLE: Final = "#6fd3e8"
CALIPER: Final = "#f0d264"
AMBER: Final = "#e3a53c"  # the synthetic mark
AMBER_GROUND: Final = "#33260f"
LOST: Final = "#e8938a"
LOST_GROUND: Final = "#3a1a18"

TARGET_PX: Final = 56  # >= 12 mm at 120 dpi: a gloved finger hits it

FAMILIES: Final = ["DejaVu Sans", "Noto Sans", "sans-serif"]


def font(pixels: float, *, bold: bool = False) -> QFont:
    """Return the app's font at a size in pixels."""
    made = QFont()
    made.setFamilies(FAMILIES)
    made.setPixelSize(max(9, round(pixels)))
    made.setBold(bold)
    return made


def colour(name: str, alpha: int = 255) -> QColor:
    """Return a colour of this module; ``alpha`` 0..255."""
    made = QColor(name)
    made.setAlpha(alpha)
    return made


def unit_px(height: int) -> float:
    """Return the size of ordinary text for a window of this height: 24 px at 800 px and more, less below."""
    return min(max(height / 34.0, 14.0), 32.0)


def unit_of(widget: QWidget) -> float:
    """Return the text unit of the window that a widget is in."""
    top = widget.window()
    return unit_px(top.height() if top is not None else widget.height())


def apply(app: QApplication) -> None:
    """Make the application dark, whatever the desktop says."""
    style = QStyleFactory.create("Fusion")  # the one style that draws alike on every platform
    if style is not None:
        app.setStyle(style)
    palette = QPalette()
    for role, name in _ROLES.items():
        palette.setColor(role, QColor(name))
    app.setPalette(palette)
    app.setStyleSheet(_SHEET)


_ROLES: Final = {
    QPalette.ColorRole.Window: GROUND,
    QPalette.ColorRole.WindowText: TEXT,
    QPalette.ColorRole.Base: SURFACE,
    QPalette.ColorRole.Text: TEXT,
    QPalette.ColorRole.Button: RAISED,
    QPalette.ColorRole.ButtonText: TEXT,
    QPalette.ColorRole.Highlight: HANDLE,
    QPalette.ColorRole.HighlightedText: GROUND,
}

_SHEET: Final = f"""
QPushButton {{ background: {RAISED}; color: {TEXT}; border: 1px solid {LINE}; border-radius: 8px; padding: 0 12px; }}
QPushButton:pressed {{ background: {LINE}; }}
QPushButton:checked {{ border: 2px solid {HANDLE}; color: {STRONG}; }}
QPushButton:focus {{ border: 2px solid {TEXT}; }}
QPushButton:disabled {{ color: {GREYED}; }}
#surface {{ background: {SURFACE}; border-radius: 10px; }}
"""
