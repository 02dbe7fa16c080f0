"""Modes: what else than one grey image of a kidney the screen shows. The model was made for none of these."""

from __future__ import annotations

import re
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_app.imaging._ocr import Box, TextLine
from edge_app.imaging.evidence import brightest_channel
from edge_app.imaging.scene import Mode, Sector
from edge_app.imaging.trace import find_trace

Mask = NDArray[np.bool_]
Values = NDArray[np.float32]
STEP = 2  # every second pixel: colour boxes are broad
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
    found: set[Mode] = set()
    if low_power and gold_share(pixels) > GOLD:
        found.add("contrast")
    traced = find_trace(pixels, words, sector)
    if traced is not None:
        found.add(traced)
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
    part = np.ascontiguousarray(pixels[y0:y1:STEP, x0:x1:STEP])
    inside = sector.mask[y0:y1:STEP, x0:x1:STEP]
    bright = brightest_channel(part)
    lit = inside & (bright > LIT)
    if int(lit.sum()) < 100:
        return 0.0
    alien = np.where(lit, _alien(part, bright, lit), 0).astype(np.uint8)
    side = 2 * max(1, round(BLOB * pixels.shape[0] / STEP / 2)) + 1
    broad = cv2.morphologyEx(alien, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    return float(np.count_nonzero(broad)) / max(1, int(inside.sum()))


def _alien(part: NDArray[np.uint8], bright: NDArray[np.uint8], lit: Mask) -> NDArray[np.uint8]:
    """Return 255 where a pixel's chromaticity is not that of the image's own map."""
    values = np.maximum(bright, 1).astype(np.float32)
    red, green, blue = (channel.astype(np.float32) for channel in cv2.split(part))
    warm, cool = (red - green) / values, (blue - green) / values
    tint = np.array([np.median(warm[lit]), np.median(cool[lit])])
    if float(np.abs(tint).max()) > MOST_TINTED:
        tint = np.zeros(2)  # more than half is flow
    away = np.maximum(np.abs(warm - tint[0]), np.abs(cool - tint[1]))
    return np.where((away > ALIEN) & (away * values > ALIEN_GREY), 255, 0).astype(np.uint8)
