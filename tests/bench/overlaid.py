"""How many results that are printed over an image are read, and what is read where there are none.

Run: python tests/bench/overlaid.py [DATA] [--each 6]. Pictures are the phantom's and those of the folder DATA.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import thread_time

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent))

from redaction import pictures

from edge_app.imaging.overlaid import find_overlaid
from edge_app.imaging.printed import SURE, parse_lengths
from edge_app.imaging.scene import Sector
from edge_app.imaging.words import ScreenWords

Picture = NDArray[np.uint8]
RESULTS = ("D1 10.2 cm", "+ Dist 98.4 mm", "1 L 10.43 cm", "Rt Kidney 10.85 cm", "x 5.12 cm", "L 9,76 cm")
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)
COLOURS = ((255, 255, 255), (200, 200, 200), (255, 255, 0), (0, 255, 0), (0, 255, 255), (220, 222, 169))


def printed(pixels: Picture, sector: Sector, rng: np.random.Generator) -> tuple[Picture, float] | None:
    """Return the picture with a result over its image, half of them as JPEG 80, and the length it states."""
    words, font = str(rng.choice(RESULTS)), FONTS[int(rng.integers(len(FONTS)))]
    scale = float(rng.uniform(0.6, 1.1)) * pixels.shape[0] / 720
    thick = 1 if scale < 0.8 else 2
    (width, height), _ = cv2.getTextSize(words, font, scale, thick)
    ys, xs = np.nonzero(sector.mask)
    for spot in rng.integers(len(ys), size=300):
        x, y = int(xs[spot]), int(ys[spot])
        if sector.mask[max(0, y - height) : y, x : x + width].all() and x + width < pixels.shape[1] and y > height:
            drawn = np.array(pixels)
            if rng.random() < 0.5:
                cv2.putText(drawn, words, (x, y), font, scale, (0, 0, 0), thick + 2, cv2.LINE_AA)
            colour = COLOURS[int(rng.integers(len(COLOURS)))]
            cv2.putText(drawn, words, (x, y), font, scale, colour, thick, cv2.LINE_AA)
            if rng.random() < 0.5:
                coded = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
                drawn = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
            return drawn, parse_lengths(words)[0].length_cm
    return None


def read(pixels: Picture, sector: Sector) -> list[float]:
    """Return the lengths that are read within the image."""
    words = ScreenWords()
    words.read_still(pixels, sector)
    found = []
    for line in words.lines:
        x0, y0, x1, y1 = line.box
        if line.confidence >= SURE and sector.mask[(y0 + y1) // 2, (x0 + x1) // 2]:
            found += [length.length_cm for length in parse_lengths(line.text)]
    return found


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("data", type=Path, nargs="?")
    asked.add_argument("--each", type=int, default=6)
    args = asked.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(7)
    shown = right = wrong = without = count = 0
    times = []
    for pixels, sector in pictures(args.data):
        start = thread_time()
        find_overlaid(pixels, sector.bbox)
        times.append(1000 * (thread_time() - start))
        before = read(pixels, sector)
        count, without = count + 1, without + bool(before)
        for _ in range(args.each):
            made = printed(pixels, sector, rng)
            if made is None:
                continue
            got = set(read(made[0], sector)) - set(before)
            shown, right, wrong = shown + 1, right + (got == {made[1]}), wrong + bool(got - {made[1]})
    print(f"{count} pictures: {right} of {shown} results read, {wrong} wrongly; a length in {without} without one")
    print(f"search: median {np.median(times):.1f} ms, longest {max(times):.1f} ms, one core")


if __name__ == "__main__":
    main()
