"""What is no grey image of a kidney is told by name; grey and tinted images never are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.imaging._ocr import TextLine
from edge_app.imaging.modes import FLOW, find_modes, flow_share, told_by
from edge_app.imaging.sector import find_sector

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
