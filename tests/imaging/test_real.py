"""Real screens of several makers: their pairs and scales are found, and none where there is none."""

from __future__ import annotations

from math import hypot
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.capture.base import Frame
from edge_app.capture.open import open_source
from edge_app.imaging.calipers import find_calipers
from edge_app.imaging.observer import SceneObserver
from edge_app.imaging.ruler import find_scale
from edge_app.imaging.scene import CaliperPair
from edge_app.imaging.sector import find_sector

from .conftest import Picture, Point

STILLS = {
    "itkpocus_butterfly_axial-lateral-resolution-2020.png": ("trapezoid", (594, 27, 1326, 1068)),
    "itkpocus_clarius-ocular-image.png": ("linear", (265, 86, 1018, 876)),
    "itkpocus_clarius_axial-lateral-resolution-2020.png": ("linear", (344, 160, 937, 800)),
    "itkpocus_interson-image.jpg": ("linear", (386, 57, 914, 855)),
    "itkpocus_interson-phantom.png": ("linear", (441, 53, 1004, 910)),
    "itkpocus_sonosite_eye_calipers.jpg": ("linear", (387, 40, 725, 641)),
}  # fmt: skip


def still(path: Path) -> Picture:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def clip(path: Path, count: int, start: int = 0) -> list[Frame]:
    capture = cv2.VideoCapture(str(path))
    capture.set(cv2.CAP_PROP_POS_FRAMES, start)
    frames = []
    for index in range(count):
        held, picture = capture.read()
        assert held
        frames.append(Frame(index, index * 40.0, np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)))
    capture.release()
    return frames


def near(pair: CaliperPair, x1: float, y1: float, x2: float, y2: float) -> bool:
    def both(a: Point, b: Point) -> bool:
        return hypot(a[0] - x1, a[1] - y1) <= 1.5 and hypot(b[0] - x2, b[1] - y2) <= 1.5

    return both(pair.first, pair.second) or both(pair.second, pair.first)


@pytest.mark.parametrize("name", STILLS)
def test_the_image_is_found_on_real_screens(shared_data: Path, name: str) -> None:
    kind, box = STILLS[name]
    sector = find_sector(still(shared_data / "images" / name))
    assert sector is not None
    assert sector.kind == kind
    assert max(abs(a - b) for a, b in zip(sector.bbox, box, strict=True)) <= 16


@pytest.mark.parametrize("name", [n for n in STILLS if "calipers" not in n])
def test_no_pair_on_real_screens_without_one(shared_data: Path, name: str) -> None:
    pixels = still(shared_data / "images" / name)
    assert find_calipers(pixels, find_sector(pixels)) == ()


def test_both_pairs_of_a_frozen_real_screen_the_longer_first(shared_data: Path) -> None:
    observer = SceneObserver()
    for frame in clip(shared_data / "clips" / "sonosite_frozen_calipers.mp4", 12):
        scene = observer.observe(frame)
    assert scene.frozen and len(scene.calipers) == 2
    assert near(scene.calipers[0], 485, 369, 570, 379) and scene.calipers[0].shape == "cross"
    assert near(scene.calipers[1], 530, 335, 530, 374) and scene.calipers[1].shape == "plus"
    assert scene.scale is not None
    assert scene.calipers[0].length_px / scene.scale.px_per_cm == pytest.approx(0.65, abs=0.01)  # printed on the screen


@pytest.mark.parametrize(
    "name, px_per_cm",
    [("philips_ruq_convex_gallbladder", 26.14), ("philips_linear_softtissue", 113.3), ("sonosite_heavy_ui", 21.78)],
)
def test_a_real_clip_is_live_with_its_scale_and_no_pair(shared_data: Path, name: str, px_per_cm: float) -> None:
    observer = SceneObserver()
    scenes = [observer.observe(frame) for frame in clip(shared_data / "clips" / f"{name}.mp4", 30, start=40)]
    assert not any(scene.calipers for scene in scenes)
    assert not any(scene.frozen for scene in scenes)
    assert not scenes[-1].synthetic
    assert scenes[-1].sector is not None
    assert scenes[-1].scale is not None
    assert scenes[-1].scale.px_per_cm == pytest.approx(px_per_cm, rel=0.005)


def test_a_ruler_of_a_linear_probe_that_may_be_1_or_2_mm_is_not_read(shared_data: Path) -> None:
    pixels = still(shared_data / "images" / "itkpocus_clarius-ocular-image.png")
    assert find_scale(pixels, find_sector(pixels)) is None


def test_a_dicom_still_with_dark_tissue_has_its_pair(shared_data: Path) -> None:
    pydicom = pytest.importorskip("pydicom")
    from pydicom.pixels import apply_color_lut

    dataset = pydicom.dcmread(shared_data / "dicom" / "philips_cx50_calipers.dcm")
    pixels = np.ascontiguousarray(apply_color_lut(dataset.pixel_array, dataset))
    pixels = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    sector = find_sector(pixels)
    assert sector is not None and sector.kind == "convex"
    (pair,) = find_calipers(pixels, sector)
    assert near(pair, 459, 290, 498, 301)
    scale = find_scale(pixels, sector)
    assert scale is not None
    assert pair.length_px / scale.px_per_cm == pytest.approx(1.06, abs=0.01)  # printed on the screen


@pytest.mark.parametrize("name", ["philips_cx50_calipers", "philips_epiq5g_linear"])
def test_the_ruler_says_what_the_file_declares(shared_data: Path, name: str) -> None:
    pytest.importorskip("pydicom")
    with open_source(f"dicom:{shared_data / 'dicom' / name}.dcm") as source:
        frame = source.read()
    assert frame is not None
    sector = find_sector(frame.pixels, frame.regions)
    declared, read = find_scale(frame.pixels, sector, frame.regions), find_scale(frame.pixels, sector)
    assert declared is not None and read is not None
    assert (declared.basis, read.basis) == ("dicom", "ruler")
    assert read.px_per_cm == pytest.approx(declared.px_per_cm, rel=0.002)


def test_the_ruler_beside_a_probe_in_air_says_what_the_file_does(shared_data: Path) -> None:
    pytest.importorskip("pydicom")
    with open_source(f"dicom:{shared_data / 'dicom' / 'siemens_s2000_6c1_renal.dcm'}") as source:
        frame = source.read()
    assert frame is not None
    sector = find_sector(frame.pixels, frame.regions)
    declared, read = find_scale(frame.pixels, sector, frame.regions), find_scale(frame.pixels, sector)
    assert declared is not None
    assert read is None or read.px_per_cm == pytest.approx(declared.px_per_cm, rel=0.002)


def test_what_a_real_scanner_prints_is_its_longest_pairs_length(shared_data: Path) -> None:
    observer = SceneObserver()
    for frame in clip(shared_data / "clips" / "sonosite_frozen_calipers.mp4", 30):
        scene = observer.observe(frame)
    assert scene.printed is not None and scene.printed.length_cm == 0.65  # not 0.30, not the depth of 4.5 cm
    assert scene.maker == "sonosite" and scene.modes == {"other-organ"}  # its preset is 'Ophthalmic'


def test_a_dicom_still_has_its_printed_length(shared_data: Path) -> None:
    pytest.importorskip("pydicom")
    observer = SceneObserver(still=True)
    with open_source(f"dicom:{shared_data / 'dicom' / 'philips_cx50_calipers'}.dcm") as source:
        frame = source.read()
    assert frame is not None
    scene = observer.observe(frame)
    assert scene.printed is not None and scene.printed.length_cm == 1.06 and "1.06 cm" in scene.printed.text
    assert scene.maker == "philips" and "other-organ" in scene.modes  # its preset is 'Gen OB'


def test_a_ruler_of_1_or_2_mm_is_read_where_the_screen_says_the_depth(shared_data: Path) -> None:
    observer = SceneObserver()
    for frame in clip(shared_data / "clips" / "clarius_eye.mp4", 40):
        scene = observer.observe(frame)
    assert scene.sector is not None and scene.scale is not None
    _, y0, _, y1 = scene.sector.bbox
    assert (y1 - y0) / scene.scale.px_per_cm == pytest.approx(4.0, abs=0.15)  # '4 cm' stands below the ruler
