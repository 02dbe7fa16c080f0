"""How often an invented name over tissue is hidden, and how much of a picture without one."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from time import thread_time

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame, SourceError
from edge_app.capture.open import open_source
from edge_app.imaging.redact import Redactor, redactor_of
from edge_app.imaging.scene import Sector
from edge_app.imaging.sector import find_sector

Picture = NDArray[np.uint8]
NAMES = (
    "KOWALSKI ANNA",
    "Mueller, Hans",
    "ID 7734190",
    "12.03.1962",
    "Garcia Lopez",
    "Dr. Nguyen",
    "O'Brien",
    "Li Wei",
)
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_PLAIN)
COLOURS = ((255, 255, 255), (190, 190, 190), (255, 255, 0), (120, 200, 255))
PHANTOMS = tuple(f"phantom:look={look},size=960x720,cycle=live,frames=1" for look in ("ge", "philips", "canon"))


def pictures(data: Path | None) -> Iterator[tuple[Picture, Sector]]:
    """Yield the first picture of each recording in which an image is seen."""
    files = sorted(str(path) for path in data.rglob("*.*") if path.suffix != ".csv") if data else []
    for name in (*PHANTOMS, *files):
        try:
            with open_source(name) as source:
                (frame,) = (got for got in islice(iter(source.read, None), 1) if isinstance(got, Frame))
        except (SourceError, ValueError):
            continue
        sector = find_sector(frame.pixels, frame.regions)
        if sector is not None:
            yield frame.pixels, sector


def named(pixels: Picture, sector: Sector, rng: np.random.Generator) -> tuple[Picture, NDArray[np.bool_]] | None:
    """Return the picture with a name somewhere inside the image, as JPEG leaves it, and where the letters are."""
    name, font, plain = rng.choice(NAMES), int(rng.integers(3)), FONTS[2]
    scale = float(rng.uniform(0.45, 1.1)) * pixels.shape[0] / 720 * (1.6 if FONTS[font] == plain else 1.0)
    thick = 1 if scale < 0.8 else 2
    (width, height), _ = cv2.getTextSize(name, FONTS[font], scale, thick)
    ys, xs = np.nonzero(sector.mask)
    for spot in rng.integers(len(ys), size=300):
        x, y = int(xs[spot]), int(ys[spot])
        if sector.mask[max(0, y - height) : y, x : x + width].all() and x + width < pixels.shape[1] and y > height:
            drawn, letters = np.array(pixels), np.zeros(pixels.shape[:2], np.uint8)
            if rng.random() < 0.5:
                cv2.putText(drawn, name, (x, y), FONTS[font], scale, (0, 0, 0), thick + 2, cv2.LINE_AA)
            colour = COLOURS[int(rng.integers(len(COLOURS)))]
            cv2.putText(drawn, name, (x, y), FONTS[font], scale, colour, thick, cv2.LINE_AA)
            cv2.putText(letters, name, (x, y), FONTS[font], scale, (1,), thick)
            coded = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
            return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8), letters > 0
    return None


def hidden_share(redactor: Redactor, letters: NDArray[np.bool_]) -> float:
    """Return which share of the letters is overwritten."""
    return float(1 - redactor.keep[letters].mean())


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=40)
    asked = parser.parse_args()
    rng, found = np.random.default_rng(7), list(pictures(asked.data))
    lost = []
    for pixels, sector in found:
        clean = redactor_of(pixels, sector)
        clean.redacted(pixels, "a picture")
        lost.append(1 - clean.keep[sector.mask].mean())
    shares, cpu_s = [], thread_time()
    for number in range(asked.count):
        pixels, sector = found[number % len(found)]
        marked = named(pixels, sector, rng)
        if marked is not None:
            redactor = redactor_of(marked[0], sector)
            redactor.redacted(marked[0], "a picture")
            shares.append(hidden_share(redactor, marked[1]))
    cpu_s = (thread_time() - cpu_s) / max(1, len(shares))
    print(f"names hidden (95 % of their letters)  {sum(share > 0.95 for share in shares)} of {len(shares)}")
    print(f"names of which nothing was hidden     {sum(share < 0.05 for share in shares)} of {len(shares)}")
    told = f"{np.median(lost):.2%} median, {max(lost):.1%} most, {len(lost)} pictures"
    print(f"image hidden, no name in it           {told}")
    print(f"CPU a picture                         {cpu_s:.1f} s")


if __name__ == "__main__":
    main()
