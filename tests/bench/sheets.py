"""Contact sheets: every picture with what is true (red), what was found (green), the sector and the refused marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.scene import Scene
from tests.imaging.judge import Ends, tolerance

TILE, ACROSS, DOWN, WORDS = (480, 360), 6, 4, 18
LENS = 20  # half of what an inset magnifies, pixels of the picture
RED, GREEN, BLUE, GREY = (60, 60, 255), (60, 230, 60), (230, 140, 40), (150, 150, 150)  # BGR


@dataclass(frozen=True)
class Entry:
    """One tile: the picture's file as a small BGR picture, and the words under it."""

    tile: NDArray[np.uint8]
    words: str
    bad: bool


def draw_tile(pixels: NDArray[np.uint8], known: Sequence[Ends], scene: Scene | None) -> NDArray[np.uint8]:
    """Return the picture (RGB) scaled into a tile, marked; truth only without a scene."""
    height, width = pixels.shape[:2]
    factor = min(TILE[0] / width, TILE[1] / height)
    size = round(width * factor), round(height * factor)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    small = cv2.cvtColor(cv2.resize(pixels, size, interpolation=how), cv2.COLOR_RGB2BGR)
    tile = np.zeros((TILE[1], TILE[0], 3), np.uint8)
    tile[: size[1], : size[0]] = small

    def at(point: tuple[float, float]) -> tuple[int, int]:
        return round((point[0] + 0.5) * factor - 0.5), round((point[1] + 0.5) * factor - 0.5)

    if scene is not None and scene.sector is not None:
        outline = np.array([at(p) for p in scene.sector.outline], np.int32)
        cv2.polylines(tile, [outline], True, BLUE, 1)
    for mark in scene.refused if scene is not None else ():
        cv2.circle(tile, at(mark.centre), 3, GREY, 1)
    near = max(4, round(tolerance((width, height)) * factor) + 3)
    for ends in known:
        for end in ends:
            cv2.circle(tile, at(end), near, RED, 1)
    for pair in scene.calipers if scene is not None else ():
        cv2.line(tile, at(pair.first), at(pair.second), GREEN, 1)
        for end in (pair.first, pair.second):
            cv2.circle(tile, at(end), near - 2, GREEN, 1)
    for number, end in enumerate(known[0] if known else ()):
        _inset(tile, pixels, end, number)
    return tile


def _inset(tile: NDArray[np.uint8], pixels: NDArray[np.uint8], at: tuple[float, float], number: int) -> None:
    """Draw a magnified marker of the first pair into the tile's lower right corner."""
    x, y = round(at[0]) + LENS, round(at[1]) + LENS
    wide = np.pad(pixels, ((LENS, LENS), (LENS, LENS), (0, 0)))
    part = cv2.cvtColor(wide[y - LENS : y + LENS + 1, x - LENS : x + LENS + 1], cv2.COLOR_RGB2BGR)
    big = cv2.resize(part, (LENS * 4, LENS * 4), interpolation=cv2.INTER_NEAREST)
    bottom, right = TILE[1], TILE[0] - (1 - number) * (LENS * 4 + 2)
    tile[bottom - LENS * 4 : bottom, right - LENS * 4 : right] = big


def write_sheets(folder: Path, entries: Sequence[Entry]) -> list[Path]:
    """Write pages of tiles; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = []
    for number, start in enumerate(range(0, len(entries), ACROSS * DOWN), 1):
        page = np.zeros((DOWN * (TILE[1] + WORDS), ACROSS * TILE[0], 3), np.uint8)
        for place, entry in enumerate(entries[start : start + ACROSS * DOWN]):
            y, x = place // ACROSS * (TILE[1] + WORDS), place % ACROSS * TILE[0]
            page[y : y + TILE[1], x : x + TILE[0]] = entry.tile
            colour = RED if entry.bad else (220, 220, 220)
            cv2.putText(
                page, entry.words, (x + 3, y + TILE[1] + 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA
            )
        path = folder / f"sheet{number:02d}.png"
        cv2.imwrite(str(path), page, [cv2.IMWRITE_PNG_COMPRESSION, 3])
        pages.append(path)
    return pages
