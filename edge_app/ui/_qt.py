"""The door to PyQt6: the only module that imports it. Written to the Qt 6.7 API."""

from __future__ import annotations

from engines.errors import UsageError

try:
    from PyQt6.QtCore import (
        QElapsedTimer,
        QMargins,
        QObject,
        QPoint,
        QPointF,
        QRectF,
        QSize,
        Qt,
        QTimer,
        pyqtSignal,
    )
    from PyQt6.QtGui import (
        QCloseEvent,
        QColor,
        QFocusEvent,
        QFont,
        QFontMetricsF,
        QImage,
        QKeyEvent,
        QKeySequence,
        QMouseEvent,
        QPainter,
        QPainterPath,
        QPaintEvent,
        QPalette,
        QPen,
        QPixmap,
        QPolygonF,
        QResizeEvent,
        QShortcut,
    )
    from PyQt6.QtWidgets import (
        QApplication,
        QFrame,
        QHBoxLayout,
        QLabel,
        QLineEdit,
        QMainWindow,
        QPushButton,
        QScrollArea,
        QSizePolicy,
        QStackedWidget,
        QStyleFactory,
        QVBoxLayout,
        QWidget,
    )
    from PyQt6.sip import voidptr
except ImportError as error:
    what, cure = "The window cannot open", "pip install 'PyQt6>=6.7,<6.12'"
    raise UsageError(what, f"PyQt6 is not usable here ({error})", cure) from error

__all__ = [
    "QApplication",
    "QCloseEvent",
    "QColor",
    "QElapsedTimer",
    "QFocusEvent",
    "QFont",
    "QFontMetricsF",
    "QFrame",
    "QHBoxLayout",
    "QImage",
    "QKeyEvent",
    "QKeySequence",
    "QLabel",
    "QLineEdit",
    "QMainWindow",
    "QMargins",
    "QMouseEvent",
    "QObject",
    "QPaintEvent",
    "QPainter",
    "QPainterPath",
    "QPalette",
    "QPen",
    "QPixmap",
    "QPoint",
    "QPointF",
    "QPolygonF",
    "QPushButton",
    "QRectF",
    "QResizeEvent",
    "QScrollArea",
    "QShortcut",
    "QSize",
    "QSizePolicy",
    "QStackedWidget",
    "QStyleFactory",
    "QTimer",
    "QVBoxLayout",
    "QWidget",
    "Qt",
    "pyqtSignal",
    "voidptr",
]
