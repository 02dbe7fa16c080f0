"""A picture of the window is not written where a name stands in the scanner's image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge_app.imaging.redact import ResidueError
from edge_app.ui._qt import QColor, QFont, QPainter, QPixmap
from edge_app.ui.screenshot import save

IMAGE = (100, 50, 700, 450)


def window_with(text: str, at: tuple[int, int]) -> QPixmap:
    picture = QPixmap(800, 500)
    picture.fill(QColor(40, 40, 40))
    painter = QPainter(picture)
    painter.setPen(QColor(240, 240, 240))
    font = QFont("DejaVu Sans")
    font.setPixelSize(26)
    painter.setFont(font)
    painter.drawText(*at, text)
    painter.end()
    return picture


@pytest.mark.parametrize(
    ("text", "at"), [("10.4 cm", (200, 200)), ("ZYXWOWSKI ANN", (200, 30)), ("ANNA K", (150, 490))]
)
def test_measures_in_the_image_and_words_around_it_are_written(
    qapp: Any, tmp_path: Path, text: str, at: tuple[int, int]
) -> None:
    save(window_with(text, at), tmp_path / "shot.png", IMAGE)
    assert QPixmap(str(tmp_path / "shot.png")).width() == 800


def test_a_name_in_the_image_is_refused(qapp: Any, tmp_path: Path) -> None:
    with pytest.raises(ResidueError, match="The picture of the window is not written"):
        save(window_with("ZYXWOWSKI ANN", (200, 200)), tmp_path / "shot.png", IMAGE)
    assert list(tmp_path.iterdir()) == []
