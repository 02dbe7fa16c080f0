"""Sector pictures of a patient for a localizer: the square that it sees, the kidney's mask, and the poles."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_app.capture.phantom.arrays import U8, Rng
from edge_app.capture.phantom.beam import Moment
from edge_app.capture.phantom.layout import LOOKS, SIZES
from edge_app.capture.phantom.scanner import Machine, Scanner
from engines.square import square_over

SECTOR_PX = 128
MOMENTS = 2  # of each machine: then the same patient is scanned with another
BBOX_JITTER = 0.02  # of the sector's side: the finder is not exact
COLUMNS = ("patient", "split", "look", "picture", "mask", "x1", "y1", "x2", "y2")
Row = dict[str, str]


def make_sectors(
    scanner: Scanner, place: tuple[Path, str, str], count: int, machine: tuple[int, float], rng: Rng
) -> list[Row]:
    """Write ``count`` pictures without calipers and their masks; return their rows.

    Parameters
    ----------
    scanner : Scanner
        Of the patient; it is switched to other machines.
    place : tuple
        Folder of the data set, name of the patient, and split.
    count : int
        How many moments.
    machine : tuple
        Looks in the bank and window of the average, as the scanner was made with.
    """
    rows = []
    for number in range(count):
        if number % MOMENTS == 0:
            look, size = LOOKS[rng.integers(len(LOOKS))], SIZES[rng.integers(len(SIZES))]
            scanner.switch(Machine(look, size, *machine), rng)
        shift = (float(rng.uniform(-0.9, 0.9)), float(rng.uniform(-0.15, 0.15)))
        moment = Moment(shift, float(rng.uniform(0.0, machine[0])))
        rows.append(_write(scanner, place, number, moment, rng))
    return rows


def _write(scanner: Scanner, place: tuple[Path, str, str], number: int, moment: Moment, rng: Rng) -> Row:
    folder, patient, split = place
    screen = scanner.screen(moment, (int(rng.integers(96)), int(rng.integers(48))))
    bbox = scanner.layout.bbox
    jitter = BBOX_JITTER * max(bbox[2] - bbox[0], bbox[3] - bbox[1])
    x0, y0, x1, y1 = (round(edge + float(rng.uniform(-jitter, jitter))) for edge in bbox)
    square = square_over((x0, y0, x1, y1), SECTOR_PX)
    kidney = np.repeat(scanner.kidney_at(moment)[..., None].astype(np.uint8) * 255, 3, axis=2)
    (ax, ay), (bx, by) = (square.to_picture(pole) for pole in scanner.poles_at(moment))
    name = f"sectors/{patient}_{number}"
    inside = scanner.layout.mask
    _write_png(folder / f"{name}.png", cv2.cvtColor(square.picture(screen, inside), cv2.COLOR_RGB2BGR))
    _write_png(folder / f"{name}_kidney.png", square.picture(kidney, inside)[..., 0])
    values = (patient, split, scanner.layout.look, f"{name}.png", f"{name}_kidney.png")
    return dict(zip(COLUMNS, (*values, *(f"{value:.3f}" for value in (ax, ay, bx, by))), strict=True))


def _write_png(path: Path, pixels: U8 | cv2.typing.MatLike) -> None:
    _, data = cv2.imencode(".png", pixels)
    path.write_bytes(data.tobytes())
