"""Pictures: files to RGB, whole crops to the model's size, and frames cut between their markers as the app cuts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import hypot, isfinite
from pathlib import Path

import cv2
import numpy as np

from convert.crops.intake import AS_GIVEN, NOT_SQUARE, SMALLER, Intake
from convert.crops.sample import Facts, Pixels
from engines.errors import UsageError
from engines.manifest import InputSpec
from engines.preprocess import MIN_DISTANCE_PX, crop_box, extract

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
UNREADABLE = "pictures cannot be read"
SCREEN = "pictures are wider than any crop: whole screens need a table with frame, x1, y1, x2 and y2"
WIDEST = 1.25  # width / height of a crop; screens start at 4 : 3
SQUARE = 0.02  # |width / height - 1| of a square that was cut to whole pixels
Ends = tuple[float, float, float, float]  # x1, y1, x2, y2 of the markers, pixels


def take_pictures(folder: Path, files: Sequence[Path], simulated: bool, intake: Intake) -> None:
    """Take every picture of a folder as a crop, each of a patient of its own."""
    for done, path in enumerate(files, start=1):
        facts = Facts(intake.place(path.name), intake.unnamed(path.name), named=False)
        take_crop(path, facts, simulated, intake)
        intake.report("reading crops", done, len(files))


def take_crop(path: Path, facts: Facts, simulated: bool, intake: Intake) -> None:
    """Take a picture as a crop, scaled to what the model reads as ``engines.preprocess.extract`` does."""
    pixels = read_picture(path)
    if pixels is None:
        intake.defects.add(UNREADABLE, facts.where)
        return
    height, width = pixels.shape[:2]
    if width > WIDEST * height:
        intake.defects.add(SCREEN, facts.where)
        return
    if not intake.collected:
        intake.remark(AS_GIVEN)
    if intake.spec.crop_mode == "square" and abs(width / height - 1) > SQUARE:
        intake.remark(NOT_SQUARE)
    if min(height, width) < min(intake.spec.height, intake.spec.width):
        intake.remark(SMALLER)
    intake.add_crop(pixels, partial(scaled, spec=intake.spec), facts, simulated)


def read_picture(path: Path) -> Pixels | None:
    """Return uint8 (H, W, 3) RGB, or None for a file that is missing or no picture."""
    try:
        data = np.fromfile(path, np.uint8)  # by bytes: OpenCV's own file names fail with some characters
        found = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, ValueError, cv2.error):  # ValueError: a NUL in its name
        return None
    return None if found is None else np.ascontiguousarray(found[:, :, ::-1], np.uint8)


def scaled(pixels: Pixels, spec: InputSpec) -> Pixels:
    """Return a crop at the size that the model reads (bilinear, as published)."""
    if pixels.shape[:2] == (spec.height, spec.width):
        return pixels
    return np.asarray(cv2.resize(pixels, (spec.width, spec.height), interpolation=cv2.INTER_LINEAR), np.uint8)


def cut(pixels: Pixels, ends: Ends, spec: InputSpec) -> Pixels:
    """Cut what the model reads between two markers, exactly as the app does.

    Raises
    ------
    UsageError
        See ``engines.preprocess.crop_box``.
    """
    box = crop_box(ends[:2], ends[2:], spec.crop_mode, spec.crop_factor)
    return extract(pixels, box, spec.height, spec.width)


def fault_of(ends: Ends, size: tuple[int, int], spec: InputSpec) -> str | None:
    """Say what is wrong with two markers in a picture of ``size`` (width, height); None if nothing is."""
    if not all(isfinite(value) for value in ends):
        return "x1, y1, x2 and y2 are not four numbers"
    inside = (-0.5 <= x <= size[0] - 0.5 and -0.5 <= y <= size[1] - 0.5 for x, y in (ends[:2], ends[2:]))
    if not all(inside):
        return "markers lie outside of the picture"
    if hypot(ends[2] - ends[0], ends[3] - ends[1]) < MIN_DISTANCE_PX:
        return f"markers are closer than {MIN_DISTANCE_PX:.0f} px"
    try:
        crop_box(ends[:2], ends[2:], spec.crop_mode, spec.crop_factor)
    except UsageError as error:
        return error.because
    return None
