"""Result lines of many looks through the OCR door: right, wrong and unread values, and the time of a line.

``python -m tests.bench.ocr [COUNT]`` on one core. Values are read as ``edge_app.imaging.printed`` reads them.
"""

from __future__ import annotations

import random
import sys
from time import thread_time

import cv2
import matplotlib.font_manager as fonts
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from edge_app.imaging._ocr import read_text
from edge_app.imaging.printed import parse_lengths

Picture = NDArray[np.uint8]
TEXTS = {
    "1 L 10.43 cm": 10.43, "D1 11.2cm": 11.2, "+ Rt Kidney 10.8 cm": 10.8, "Dist 104 mm": 10.4, "A 9.9cm": 9.9,
    "2 L 8.84 cm": 8.84, "L 9,76 cm": 9.76, "+ Dist 5.12 cm": 5.12, "x 7.03 cm": 7.03, "1 D 11.05cm": 11.05,
    "Length 9.41 cm": 9.41, "LT Kid L 112.6 mm": 11.26,
}  # fmt: skip
FACES = (("DejaVu Sans", "normal"), ("DejaVu Sans", "bold"), ("DejaVu Sans Mono", "normal"), ("DejaVu Serif", "normal"))
COLOURS = (
    ((255, 255, 0), (0, 0, 0)), ((255, 255, 255), (0, 0, 0)), ((255, 255, 0), (40, 40, 40)),
    ((200, 200, 120), (20, 20, 60)), ((0, 220, 220), (0, 0, 0)), ((170, 170, 170), (60, 60, 60)),
)  # fmt: skip


def draw(words: str, chance: random.Random) -> Picture:
    """Draw a line as some scanner and grabber would show it, letters 7 to 30 pixels high."""
    letter_px, (ink, ground) = chance.randint(9, 20), chance.choice(COLOURS)
    if chance.random() < 0.25:
        scale, thick = letter_px / 21, 1 if letter_px < 16 else 2
        (width, height), below = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
        pixels = np.full((height + below + 8, width + 12, 3), ground, np.uint8)
        cv2.putText(pixels, words, (6, height + 3), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thick, cv2.LINE_AA)
    else:
        family, weight = chance.choice(FACES)
        path = fonts.findfont(fonts.FontProperties(family=family, weight=weight))
        font = ImageFont.truetype(path, round(letter_px / 0.73))
        left, _, right, bottom = font.getbbox(words)
        image = Image.new("RGB", (int(right - left) + 12, int(bottom) + 8), ground)
        brush = ImageDraw.Draw(image)
        brush.fontmode = chance.choice(("1", "L", "L"))
        brush.text((6, 4), words, font=font, fill=ink)
        pixels = np.array(image)
    return damage(pixels, chance)


def damage(pixels: Picture, chance: random.Random) -> Picture:
    """Return the line after JPEG and a grabber's scaling, or neither."""
    quality = chance.choice((None, 60, 75, 90))
    if quality is not None:
        _, data = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        pixels = np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])
    factor = chance.choice((1.0, 1.0, 0.75, 1.5))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=how), dtype=np.uint8)


def main(count: int) -> None:
    """Read ``count`` lines and say how many values came out right."""
    cv2.setNumThreads(1)
    read_text(np.zeros((40, 80, 3), np.uint8), [(0, 0, 80, 40)])
    right = wrong = 0
    times_ms = []
    for seed in range(count):
        chance = random.Random(seed)
        words = chance.choice(list(TEXTS))
        pixels = draw(words, chance)
        start = thread_time()
        lines = read_text(pixels, [(0, 0, pixels.shape[1], pixels.shape[0])])
        times_ms.append(1e3 * (thread_time() - start))
        values = [length.length_cm for line in lines for length in parse_lengths(line.text, line.confidence)]
        right += values == [TEXTS[words]]
        wrong += bool(values) and values != [TEXTS[words]]
        if values != [TEXTS[words]]:
            print(f"{words!r} read as {[line.text for line in lines]}: {values}")
    p50, p95 = np.percentile(times_ms, (50, 95))
    print(
        f"{count} lines: {right} right, {wrong} wrong, {count - right - wrong} unread; {p50:.1f} ms, p95 {p95:.1f} ms"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
