"""A folder of composed screens: pictures, masks of the image and MANIFEST.csv, in the form of the real pictures'."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np

from .compose import Screen, compose
from .draw import Point

COLUMNS = (
    *("file", "source_repo", "licence", "kind", "width", "height", "has_calipers"),
    *("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4", "x5", "y5", "x6", "y6", "caliper_style", "notes"),
    *("sector", "case", "look", "background", "level", "damage", "damages", "decoys", "span", "seed"),
)


def write_folder(
    folder: Path, seeds: Iterable[int], said: Callable[[int], None] = lambda done: None, *, harder: bool = False
) -> None:
    """Write a screen for each seed, then the manifest; ``said`` hears how many are done."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "sectors").mkdir(exist_ok=True)
    rows = []
    for done, seed in enumerate(seeds, 1):
        rows.append(write_screen(folder, compose(seed, harder)))
        said(done)
    with (folder / "MANIFEST.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows)


def write_screen(folder: Path, screen: Screen) -> dict[str, str]:
    """Write one screen and its mask; return its row."""
    name = f"s{screen.seed:05d}"
    picture, sector = f"images/{name}{'.jpg' if screen.jpeg else '.png'}", f"sectors/{name}.png"
    if screen.jpeg:
        (folder / picture).write_bytes(screen.jpeg)
    else:
        bgr = cv2.cvtColor(screen.pixels, cv2.COLOR_RGB2BGR)
        (folder / picture).write_bytes(cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
    mask = screen.mask.astype(np.uint8) * 255
    (folder / sector).write_bytes(cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_BILEVEL, 1])[1].tobytes())
    points: list[Point] = [p for pair in screen.pairs for p in (pair.first, pair.second)]
    places = {f"{axis}{n}": f"{v:.3f}" for n, p in enumerate(points, 1) for axis, v in zip("xy", p, strict=True)}
    row = {
        **{"file": picture, "source_repo": "composed", "licence": "synthetic", "kind": screen.background},
        **{"width": str(screen.pixels.shape[1]), "height": str(screen.pixels.shape[0])},
        **{"has_calipers": "y" if screen.pairs else "n", "caliper_style": screen.look, "sector": sector},
        **{"case": screen.case, "look": screen.look, "background": screen.background, "level": screen.level},
        **{"damage": screen.damage, "damages": " ".join(screen.damages), "decoys": " ".join(screen.decoys)},
        **{"span": f"{screen.span:.1f}", "seed": str(screen.seed), "notes": "SYNTHETIC"},
        **places,
    }
    return {column: row.get(column, "") for column in COLUMNS}
