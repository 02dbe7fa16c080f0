"""What is no grey image of a kidney is told by name; grey and tinted images never are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.imaging._ocr import TextLine
from edge_app.imaging.modes import FLOW, find_modes, flow_share, is_low_power, told_by
from edge_app.imaging.sector import find_sector
from edge_app.imaging.trace import find_trace
from edge_app.imaging.words import find_lines

from .conftest import Picture, Studio

TINTS = {"grey": (1, 1, 1), "sepia": (1, 0.86, 0.62), "blue": (0.68, 0.84, 1), "green": (0.75, 1, 0.8)}


def tinted(pixels: Picture, tint: tuple[float, float, float]) -> Picture:
    return np.asarray(pixels * np.array(tint), dtype=np.uint8)


def lines(*texts: str, confidence: float = 0.98) -> list[TextLine]:
    return [TextLine(text, (0, 20 * row, 100, 20 * row + 16), confidence) for row, text in enumerate(texts)]


@pytest.mark.parametrize("tint", TINTS)
@pytest.mark.parametrize("style", ["logiq", "toshiba x", "green"])
def test_a_map_of_any_tint_with_coloured_markers_is_no_doppler(studio: Studio, tint: str, style: str) -> None:
    pixels = tinted(studio.fan(1)[0], TINTS[tint])  # type: ignore[arg-type]
    sector = find_sector(pixels)
    studio.pair(pixels, (340.0, 430.0), (620.0, 430.0), studio.styles[style])
    cv2.putText(pixels, "RT KIDNEY LONG", (380, 500), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 255, 0), 2)
    for quality in (60, 95):
        assert find_modes(studio.jpeg(pixels, quality), sector) == frozenset()


@pytest.mark.parametrize("tint", TINTS)
@pytest.mark.parametrize("colours", [((210, 40, 20), (20, 60, 220)), ((240, 150, 20), (220, 110, 10))])
@pytest.mark.parametrize("factor", [0.67, 1.5])
def test_flow_in_the_image_is_doppler(
    studio: Studio, tint: str, colours: tuple[tuple[int, int, int], tuple[int, int, int]], factor: float
) -> None:
    pixels = tinted(studio.fan(1)[0], TINTS[tint])  # type: ignore[arg-type]
    sector = find_sector(studio.scaled(pixels, factor))
    for index, centre in enumerate(((450, 400), (480, 380), (505, 410))):
        cv2.ellipse(pixels, centre, (26, 9), 30 * index, 0, 360, colours[index % 2], -1)
    pixels = studio.jpeg(studio.scaled(pixels, factor), 75)
    assert sector is not None and flow_share(pixels, sector) > FLOW
    assert find_modes(pixels, sector) == {"colour-doppler"}


def test_more_flow_never_counts_less(studio: Studio) -> None:
    pixels, _ = studio.fan(1)
    sector = find_sector(pixels)
    assert sector is not None
    shares = []
    for radius in (0, 15, 30, 60, 120):
        drawn = pixels.copy()
        if radius:
            cv2.circle(drawn, (480, 400), radius, (200, 30, 20), -1)
        shares.append(flow_share(drawn, sector))
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] > 0.05


@pytest.mark.parametrize(
    "texts, modes",
    [
        (("C1-6 / Abdomen Renal", "MI 1.2"), set()),
        (("*Renal", "General", "CHI", "DR 63"), set()),
        (("Adv Breast",), {"other-organ"}),
        (("Gen OB", "C5-1"), {"other-organ"}),
        (("Crd", "P17"), {"other-organ"}),
        (("L25xp/13-6 Ophthalmic",), {"other-organ"}),
        (("Abdomen", "Ob"), set()),  # a list of presets, the kidney's among them
        (("CEUS", "MI 0.08"), {"contrast"}),
        (("Contrast 45", "Job 12", "OBERMEIER, ANNA"), set()),
        (("PW 2.0 MHz", "-40 cm/s"), {"spectral-doppler"}),
        (("M-Mode",), {"m-mode"}),
        ((), set()),
    ],
)
def test_words_tell_of_other_presets(texts: tuple[str, ...], modes: set[str]) -> None:
    assert told_by(lines(*texts)) == modes


def with_trace(studio: Studio, kind: str, size: tuple[int, int]) -> Picture:
    """A small fan over what ``kind`` says, as a duplex screen shows it."""
    width, height = size
    small = cv2.resize(studio.fan(2)[0], None, fx=0.62 * height / 720, fy=0.62 * height / 720)
    pixels = np.zeros((height, width, 3), np.uint8)
    left = (width - small.shape[1]) // 2
    pixels[: small.shape[0], left : left + small.shape[1]] = small
    top, bottom, x0, x1 = round(0.68 * height), round(0.95 * height), round(0.1 * width), round(0.85 * width)
    rng = np.random.default_rng(3)
    if kind == "m-mode":
        rows = rng.normal(90, 40, (bottom - top, 60)).astype(np.float32)
        pixels[top:bottom, x0:x1] = np.clip(cv2.resize(rows, (x1 - x0, bottom - top)), 0, 255)[:, :, None]
    if kind == "spectral-doppler":
        base = round(0.88 * height)
        for x in range(x0, x1):
            beat = ((x - x0) / (0.14 * width)) % 1
            up = round(0.16 * height * (0.35 + 0.65 * np.exp(-3 * beat)))
            pixels[base - up : base, x] = np.clip(rng.normal(110, 50, up), 0, 255)[:, None]
        pixels[base : base + 2, x0:x1] = 200
    if kind == "results":
        for row in range(8):
            studio.text(pixels, "1 L 10.43 cm   AP 4.5 cm   Rt Kidney Vol 123 ml", (x0, top + 14 + 32 * row), 0.6)
    if kind == "ecg":
        xs = np.arange(0, width)
        ys = 0.9 * height - 0.06 * height * np.exp(-((xs % 150 - 60) ** 2) / 30)
        cv2.polylines(pixels, [np.stack([xs, ys], 1).astype(np.int32)], False, (0, 255, 0), 2)
    if kind == "thumbnails":
        for index in range(5):
            picture = cv2.resize(small, (round(0.16 * width), round(0.13 * height)), interpolation=cv2.INTER_AREA)
            x = round((0.05 + 0.18 * index) * width)
            pixels[top : top + picture.shape[0], x : x + picture.shape[1]] = picture
    return pixels


@pytest.mark.parametrize("size", [(640, 480), (1280, 960), (1920, 1080)])
@pytest.mark.parametrize("kind", ["m-mode", "spectral-doppler"])
@pytest.mark.parametrize("quality", [60, 95])
def test_a_trace_under_the_image_is_told_by_its_kind(
    studio: Studio, kind: str, size: tuple[int, int], quality: int
) -> None:
    pixels = studio.jpeg(with_trace(studio, kind, size), quality)
    assert find_trace(pixels) == kind
    assert kind in find_modes(pixels, find_sector(pixels))


@pytest.mark.parametrize("size", [(640, 480), (1280, 960), (1920, 1080)])
@pytest.mark.parametrize("kind", ["nothing", "results", "ecg", "thumbnails"])
def test_results_an_ecg_and_thumbnails_are_no_trace(studio: Studio, kind: str, size: tuple[int, int]) -> None:
    pixels = with_trace(studio, kind, size)
    sector = find_sector(pixels)
    assert find_modes(pixels, sector, find_lines(pixels, sector)) == frozenset()


@pytest.mark.parametrize(
    "text, low", [("MI 0.08", True), ("MI: 0.1TIS: 0.0", True), ("MI 0.10", True), ("MI 0.7", False), ("MI 1.0", False),
                  ("MI 0.2", False), ("TIS: 0.01, MI: 0.45, Nerve", False), ("DR 0.05", False)]
)  # fmt: skip
def test_the_power_of_contrast_is_told_from_others(text: str, low: bool) -> None:
    assert is_low_power(lines(text)) is low


def test_a_gold_image_at_the_power_of_contrast_is_contrast_and_each_alone_is_not(studio: Studio) -> None:
    grey = studio.fan(1)[0]
    gold, sector = tinted(grey, (1, 0.7, 0.25)), find_sector(grey)
    assert "contrast" in find_modes(gold, sector, low_power=True)
    assert "contrast" not in find_modes(gold, sector)
    for tint in TINTS.values():
        assert "contrast" not in find_modes(tinted(grey, tint), sector, low_power=True)  # type: ignore[arg-type]


def test_words_that_were_hardly_read_tell_nothing() -> None:
    assert told_by(lines("Adv Breast", "CEUS", confidence=0.6)) == frozenset()


def test_no_real_grey_image_is_refused_for_its_colours(shared_data: Path) -> None:
    stills = sorted((shared_data / "images").glob("*.*"))
    assert len(stills) >= 7
    for path in stills:
        picture = cv2.imread(str(path))
        assert picture is not None
        pixels = np.ascontiguousarray(picture[:, :, ::-1], dtype=np.uint8)
        assert find_modes(pixels, find_sector(pixels)) == frozenset(), path.name


@pytest.mark.parametrize("clip", ["clarius_eye", "philips_linear_softtissue", "philips_ruq_convex_gallbladder"])
def test_no_real_grey_clip_is_refused_for_its_colours(shared_data: Path, clip: str) -> None:
    capture = cv2.VideoCapture(str(shared_data / "clips" / f"{clip}.mp4"))
    capture.set(cv2.CAP_PROP_POS_FRAMES, 40)
    held, picture = capture.read()
    capture.release()
    assert held and picture is not None
    pixels = np.ascontiguousarray(picture[:, :, ::-1], dtype=np.uint8)
    assert find_modes(pixels, find_sector(pixels)) == frozenset()
