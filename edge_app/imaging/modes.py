"""Modes: what else than one grey image of a kidney the screen shows. The model was made for none of these."""

from __future__ import annotations

import re
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging._ocr import Box, TextLine
from edge_app.imaging.evidence import over, shrink
from edge_app.imaging.scene import Mode, Sector
from edge_app.imaging.slices import Sliced, finish
from edge_app.imaging.trace import trace_of

Mask = NDArray[np.bool_]
Values = NDArray[np.float32]
TINTS = 4  # every fourth lit pixel is enough to know the map's tint
STEP, COARSE_ROWS = 2, 400  # every second pixel, every third of a picture of 1080 rows: colour boxes are broad
LIT = 40  # of the brightest channel: what is darker shows no colour
ALIEN = 0.24  # distance of two chromaticities, each 0..1 of the brightest channel, that no tint of one map spans
ALIEN_GREY = 56.0  # the same in grey levels: a codec's chroma on dark tissue is less
BLOB = 0.010  # share of the picture's height: thinner colour is a marker, its line, or words
FLOW = 0.0038  # share of the image: less colour is an icon
MOST_TINTED = 0.45  # distance from grey up to which the map of a B-mode image goes

RENAL = re.compile(r"\b(renal|ren|rein|reins|kidney|niere|abd\w*|general|uro\w*|nephro\w*)\b", re.IGNORECASE)
OTHER_ORGAN = re.compile(
    r"\b(cardiac|crd|echocardio\w*|obstetric\w*|fetal|foetal|gyn|gyne\w*|thyroid|breast|musculo\w*|msk|nerve|"
    r"ophthalmi\w*|ocular|carotid|venous|prostate|testis|scrot\w*|neonat\w*)\b|^(gen |adv |early |2/3 )?ob$",
    re.IGNORECASE,
)
CONTRAST = re.compile(r"\b(CEUS|CPS|CnTI|(?i:contrast (agent|imaging|mode|timer)))\b")  # 'Clips' may be read as 'Cps'
LOW_POWER = re.compile(r"\bM\.?I\.?\W{0,3}0[.,](0\d?|1[0-5]?)(?!\d)")
GOLD = 0.01  # share of the screen
GOLD_LIT, GOLD_BLUE, GOLD_GREEN = 60, 0.40, (0.40, 0.92)  # grey level of red; blue and green over red
SPECTRAL = re.compile(r"\b(cm/s|m/s|psv|edv)\b|\bPW\b.*\b(hz|mm|prf)\b", re.IGNORECASE)
M_MODE = re.compile(r"^m.?mode\b|\bmm/s\b", re.IGNORECASE)
SURE = 0.85


def is_low_power(lines: Iterable[TextLine]) -> bool:
    """Tell whether the screen states a mechanical index that is used for contrast alone: 'MI 0.08'."""
    return any(LOW_POWER.search(line.text) is not None for line in lines if line.confidence >= SURE)


def gold_share(pixels: NDArray[np.uint8]) -> float:
    """Return which share of RGB uint8 (H, W, 3) ``pixels`` has the gold or bronze of contrast maps, 0..1."""
    red, green, blue = cv2.split(np.ascontiguousarray(pixels[::4, ::4]))
    lit = red > GOLD_LIT
    ratio = red.astype(np.float32)
    gold = lit & (blue < GOLD_BLUE * ratio) & (green > GOLD_GREEN[0] * ratio) & (green < GOLD_GREEN[1] * ratio)
    broad = cv2.morphologyEx(gold.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return float(np.count_nonzero(broad)) / max(1, broad.size)


def find_modes(
    pixels: NDArray[np.uint8], sector: Sector | None, words: Iterable[Box] = (), *, low_power: bool = False
) -> frozenset[Mode]:
    """Return what RGB uint8 (H, W, 3) ``pixels`` show beside one grey image.

    ``words``: where there is no trace; ``low_power``: the screen states a power that is used for contrast alone.
    """
    return finish(searching_modes(pixels, sector, words, low_power=low_power))


def searching_modes(
    pixels: NDArray[np.uint8],
    sector: Sector | None,
    words: Iterable[Box] = (),
    *,
    low_power: bool = False,
    small: tuple[NDArray[np.uint8], float] | None = None,
) -> Sliced[frozenset[Mode]]:
    """Do what ``find_modes`` does in slices; ``small`` is what ``evidence.shrink`` makes of the picture, if known."""
    found: set[Mode] = set()
    if low_power and gold_share(pixels) > GOLD:
        found.add("contrast")
    small = shrink(pixels) if small is None else small
    yield
    traced = trace_of(*small, words, sector)
    if traced is not None:
        found.add(traced)
    yield
    if sector is not None and flow_share(pixels, sector) > FLOW:
        found.add("colour-doppler")
    return frozenset(found)


def told_by(lines: Iterable[TextLine]) -> frozenset[Mode]:
    """Return the modes that a screen's words tell of; a preset of another organ counts where none of the kidney is."""
    texts = [line.text.strip() for line in lines if line.confidence >= SURE]
    found: set[Mode] = set()
    if any(CONTRAST.search(text) for text in texts):
        found.add("contrast")
    if any(SPECTRAL.search(text) for text in texts):
        found.add("spectral-doppler")
    if any(M_MODE.search(text) for text in texts):
        found.add("m-mode")
    if any(OTHER_ORGAN.search(text) for text in texts) and not any(RENAL.search(text) for text in texts):
        found.add("other-organ")
    return frozenset(found)


def flow_share(pixels: NDArray[np.uint8], sector: Sector) -> float:
    """Return which share of ``sector`` is coloured otherwise than its own map: flow, 0..1.

    A grey map may be tinted: what most of the image has in common is no flow. Thin colour, of markers, lines and
    words, is left out.
    """
    x0, y0, x1, y1 = sector.bbox
    step = max(STEP, round(pixels.shape[0] / COARSE_ROWS))
    size = max(1, (x1 - x0) // step), max(1, (y1 - y0) // step)
    even = slice(y0, y0 + step * size[1]), slice(x0, x0 + step * size[0])
    part = np.asarray(cv2.resize(pixels[even], size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    inside = cv2.resize(sector.mask[even].view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    red, green, blue = (np.asarray(cv2.extractChannel(part, channel), dtype=np.uint8) for channel in range(3))
    bright = np.asarray(cv2.max(cv2.max(red, green), blue), dtype=np.uint8)
    lit = np.asarray(cv2.bitwise_and(over(bright, LIT), inside), dtype=np.uint8)
    if cv2.countNonZero(lit) < 100:
        return 0.0
    alien = cv2.copyTo(_alien((red, green, blue), bright, lit > 0), lit)
    side = 2 * max(1, round(BLOB * pixels.shape[0] / step / 2)) + 1
    broad = cv2.morphologyEx(alien, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    return cv2.countNonZero(broad) / max(1, cv2.countNonZero(inside))


def _alien(channels: tuple[NDArray[np.uint8], ...], bright: NDArray[np.uint8], lit: Mask) -> NDArray[np.uint8]:
    """Return 1 where a pixel's chromaticity is not that of the image's own map."""
    values = np.maximum(bright, 1).astype(np.float32)
    red, green, blue = (channel.astype(np.float32) for channel in channels)
    warm, cool = (red - green) / values, (blue - green) / values
    tint = np.array([np.median(warm[lit][::TINTS]), np.median(cool[lit][::TINTS])], np.float32)
    if float(np.abs(tint).max()) > MOST_TINTED:
        tint = np.zeros(2, np.float32)  # more than half is flow
    away = np.maximum(np.abs(warm - tint[0]), np.abs(cool - tint[1]))
    return np.asarray((away > ALIEN) & (away * values > ALIEN_GREY), dtype=np.bool_).view(np.uint8)
