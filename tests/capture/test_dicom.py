"""DICOM: the picture as the scanner showed it, its times, and the regions that hold."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage

from edge_app.capture.base import Frame, SourceError
from edge_app.capture.dicom import DicomSource


def region(box: tuple[int, int, int, int], delta_cm: float = 0.025, units: int = 3, data: int = 1) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat = 1
    item.RegionDataType = data
    names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
    for name, value in zip(names, box, strict=True):
        setattr(item, name, value)
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = units
    item.PhysicalDeltaX = item.PhysicalDeltaY = delta_cm
    return item


def write_dicom(path: Path, pixels: np.ndarray, photometric: str = "RGB", **tags: object) -> Path:
    """pixels: (frames, H, W[, 3]) uint8 or uint16."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UltrasoundMultiFrameImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3"
    dataset.PatientName = "SECRET^NAME"
    dataset.Manufacturer = "ACME"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape[:3]
    dataset.SamplesPerPixel = 3 if pixels.ndim == 4 else 1
    if pixels.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    bits = 8 * pixels.dtype.itemsize
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path)
    return path


def read(path: Path) -> list[Frame]:
    with DicomSource(path) as source:
        return list(iter(source.read, None))


def test_a_colour_cine_keeps_pixels_and_times(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, 6, 8, 3)).astype(np.uint8)
    frames = read(write_dicom(tmp_path / "a.dcm", pixels, FrameTime="40"))
    assert [frame.t_ms for frame in frames] == [0.0, 40.0, 80.0, 120.0]
    assert np.array_equal(np.stack([frame.pixels for frame in frames]), pixels)
    assert not any(frame.pixels.flags.writeable for frame in frames)


@pytest.mark.parametrize(
    ("tags", "times"),
    [
        ({"CineRate": "20"}, [0.0, 50.0, 100.0]),
        ({"RecommendedDisplayFrameRate": "10"}, [0.0, 100.0, 200.0]),
        ({"FrameTimeVector": ["0", "30", "50"]}, [0.0, 30.0, 80.0]),
        ({}, [0.0, 40.0, 80.0]),
        ({"FrameTime": "0"}, [0.0, 40.0, 80.0]),
    ],
)
def test_times_come_from_whatever_the_file_tells(tmp_path: Path, tags: dict[str, object], times: list[float]) -> None:
    pixels = np.zeros((3, 4, 4, 3), np.uint8)
    assert [frame.t_ms for frame in read(write_dicom(tmp_path / "a.dcm", pixels, **tags))] == times


def test_monochrome1_is_turned_the_right_way(tmp_path: Path) -> None:
    pixels = np.array([[[0, 100], [200, 255]]], np.uint8)
    (bright,) = read(write_dicom(tmp_path / "one.dcm", pixels, "MONOCHROME1"))
    (plain,) = read(write_dicom(tmp_path / "two.dcm", pixels, "MONOCHROME2"))
    assert bright.pixels[..., 0].tolist() == [[255, 155], [55, 0]]
    assert plain.pixels[..., 2].tolist() == [[0, 100], [200, 255]]


def test_sixteen_bits_become_eight_by_the_window_of_the_file(tmp_path: Path) -> None:
    pixels = np.array([[[0, 1000], [2000, 3000]]], np.uint16)
    window = {"WindowCenter": "1500", "WindowWidth": "1000"}
    (frame,) = read(write_dicom(tmp_path / "a.dcm", pixels, "MONOCHROME2", **window))
    assert frame.pixels[..., 0].tolist() == [[0, 0], [255, 255]]


def test_sixteen_bits_without_window_keep_one_scale_over_all_frames(tmp_path: Path) -> None:
    pixels = np.array([[[0, 1000], [500, 1000]], [[0, 250], [500, 500]]], np.uint16)
    first, second = read(write_dicom(tmp_path / "a.dcm", pixels, "MONOCHROME2"))
    assert first.pixels[..., 0].tolist() == [[0, 255], [128, 255]]
    assert second.pixels[..., 0].tolist() == [[0, 64], [128, 128]], "the second frame is darker, and stays so"


def test_full_range_ybr_becomes_rgb(tmp_path: Path) -> None:
    pixels = np.full((1, 2, 2, 3), (76, 85, 255), np.uint8)  # red in YBR_FULL
    (frame,) = read(write_dicom(tmp_path / "a.dcm", pixels, "YBR_FULL"))
    red, green, blue = (int(value) for value in frame.pixels[0, 0])
    assert red > 250
    assert green < 5
    assert blue < 5


def test_tissue_comes_first_and_centimetres_alone_give_a_scale(tmp_path: Path) -> None:
    regions = [region((0, 40, 99, 59), units=4, data=10), region((10, 5, 89, 39))]
    pixels = np.zeros((1, 60, 100, 3), np.uint8)
    (frame,) = read(write_dicom(tmp_path / "a.dcm", pixels, SequenceOfUltrasoundRegions=Sequence(regions)))
    assert [found.bbox for found in frame.regions] == [(10, 5, 90, 40), (0, 40, 100, 60)]
    assert frame.regions[0].px_per_cm == pytest.approx(40.0)
    assert frame.regions[1].px_per_cm is None


def test_a_region_for_another_size_of_the_picture_is_left_out(tmp_path: Path) -> None:
    pixels = np.zeros((1, 60, 100, 3), np.uint8)
    regions = Sequence([region((10, 5, 250, 39))])
    (frame,) = read(write_dicom(tmp_path / "a.dcm", pixels, SequenceOfUltrasoundRegions=regions))
    assert frame.regions == ()


def test_nothing_of_the_patient_is_told(tmp_path: Path) -> None:
    with DicomSource(write_dicom(tmp_path / "a.dcm", np.zeros((1, 4, 4, 3), np.uint8))) as source:
        assert "SECRET" not in source.info.title
        assert source.info.title == "DICOM still, ACME"


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (None, "there is no such file"),
        (b"", "the file is empty"),
        (b"hello" * 100, "it is no DICOM file"),
        (bytes(128) + b"DICM" + b"\x08\x00\x05\x00CS", "holds no picture|header is damaged"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path: Path, content: bytes | None, because: str) -> None:
    path = tmp_path / "a.dcm"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=because):
        read(path)


def test_a_file_cut_short_is_said(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.zeros((1, 64, 64, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(SourceError, match="cannot be decoded"):
        read(path)


def test_without_pydicom_the_cure_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.zeros((1, 4, 4, 3), np.uint8))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(SourceError, match=r"echogfr\[dicom\]"):
        read(path)


@pytest.mark.parametrize(
    ("name", "frames", "size", "bbox", "px_per_cm"),
    [
        ("philips_cx50_calipers.dcm", 1, (800, 600), (120, 60, 801, 519), 38.13),
        ("siemens_s2000_6c1_renal.dcm", 1, (1024, 768), (0, 60, 1009, 765), 42.04),
        ("philips_epiq5g_linear.dcm", 1, (1024, 768), (14, 38, 1011, 759), 154.07),
        ("sonosite_turbo_cine30.dcm", 30, (320, 240), None, None),  # its region is for a larger picture
    ],
)
def test_real_files_of_four_scanners(
    shared_data: Path,
    name: str,
    frames: int,
    size: tuple[int, int],
    bbox: tuple[int, int, int, int] | None,
    px_per_cm: float | None,
) -> None:
    with DicomSource(shared_data / "dicom" / name) as source:
        assert source.info.size == size
        found = list(iter(source.read, None))
    assert len(found) == frames
    assert found[0].pixels.max() > 150, "not black"
    if bbox is None:
        assert found[0].regions == ()
    else:
        assert found[0].regions[0].bbox == bbox
        assert found[0].regions[0].px_per_cm == pytest.approx(px_per_cm, abs=0.01)


@pytest.mark.parametrize(("across", "down"), [(0.03, 0.02), (0.02, 0.03)])
def test_pixels_that_are_no_squares_become_some_and_lengths_are_true(
    tmp_path: Path, across: float, down: float
) -> None:
    """A disc of 4 cm, stored with pixels that are wider than high, or higher than wide."""
    y, x = np.mgrid[:300, :400].astype(np.float64)
    disc = np.hypot((x - 200) * across, (y - 150) * down) < 2.0
    pixels = np.repeat(np.where(disc, 200, 0).astype(np.uint8)[None, :, :, None], 3, axis=3)
    item = region((20, 10, 379, 289))
    item.PhysicalDeltaX, item.PhysicalDeltaY = across, down
    path = write_dicom(tmp_path / "wide.dcm", pixels, SequenceOfUltrasoundRegions=[item])
    (frame,) = read(path)
    lit = frame.pixels[..., 0] > 100
    wide, high = np.count_nonzero(lit.any(axis=0)), np.count_nonzero(lit.any(axis=1))
    (found,) = frame.regions
    assert abs(wide / high - 1) < 0.02, "a disc is round"
    assert found.px_per_cm is not None and wide / found.px_per_cm == pytest.approx(4.0, rel=0.02)
    x0, y0, x1, y1 = found.bbox
    assert (x1 - x0) / (y1 - y0) == pytest.approx(360 * across / (280 * down), rel=0.01)
    assert not frame.pixels.flags.writeable
    with DicomSource(path) as source:
        assert "pixels made square" in source.info.title
        assert source.info.size == (frame.pixels.shape[1], frame.pixels.shape[0])
    with DicomSource(path, square=False) as source:
        kept = source.read()
        assert kept is not None and kept.pixels.shape == (300, 400, 3), "masked as it is stored"


def test_the_pixel_aspect_ratio_counts_where_no_region_says_more(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "pal.dcm", np.zeros((1, 576, 720, 3), np.uint8), PixelAspectRatio=["15", "16"])
    assert read(path)[0].pixels.shape == (576, 768, 3)
