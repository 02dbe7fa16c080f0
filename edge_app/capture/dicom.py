"""DICOM ultrasound files, single and multi-frame. The one door to pydicom."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import accumulate, chain, repeat
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_app.capture.base import Frame, ScreenRegion, SourceError, SourceInfo
from edge_app.capture.files import frozen, require_file
from edge_app.capture.pace import Pace
from edge_app.capture.pixelshape import SQUARE, PixelShape

if TYPE_CHECKING:
    from pydicom import Dataset

FALLBACK_FRAME_TIME_MS = 40.0  # a cine without FrameTime and CineRate: 25 frames a second, as PAL grabbers give
CENTIMETRES = 3  # Physical Units X/Y Direction (0018,6024): DICOM PS3.3 C.8.5.5.1.15
TISSUE_2D = (1, 1)  # Region Spatial Format 2D, Region Data Type tissue: DICOM PS3.3 C.8.5.5.1.1 and .2
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")


def status(code: int, comment: str) -> Dataset:
    """Return the answer to a sender: a DIMSE status (PS3.7 annex C) and up to 64 characters of its reason."""
    import pydicom

    answer = pydicom.Dataset()
    answer.Status, answer.ErrorComment = code, comment[:64].encode("ascii", "replace").decode()
    return answer


def looks_like_dicom(path: Path) -> bool:
    """Return whether the file carries the DICOM prefix or extension."""
    if path.suffix.lower() in {".dcm", ".dicom"}:
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


class DicomSource:
    """The frames of one DICOM file with the ultrasound regions that it declares.

    ``data``: the file itself, where it lies in memory alone; ``path`` then only names it in errors. Pixels of 8
    bits are taken as they are; more bits are brought to 8 by the file's own window, or else by the range of the
    first frame. ``square``: pixels that the file says are no squares are stretched to be some. Patient data is never
    read out.
    """

    def __init__(self, path: Path, *, realtime: bool = False, data: bytes | None = None, square: bool = True) -> None:
        self._path = path
        self._data = data
        self._square = square
        self._pace = Pace(realtime)
        self._title = "DICOM file"
        self._pixels: Iterator[NDArray[np.uint8]] = iter(())
        self._times_ms: Iterator[float] = iter(())
        self._first: NDArray[np.uint8] | None = None
        self._regions: tuple[ScreenRegion, ...] = ()
        self._fps: float | None = None
        self._index = 0

    @property
    def info(self) -> SourceInfo:
        """A recorded still or cine; size and frame rate known once it was entered."""
        size = None if self._first is None else (self._first.shape[1], self._first.shape[0])
        return SourceInfo(f"dicom:{self._path}", self._title, False, self._fps, size)

    def __enter__(self) -> DicomSource:
        header = _header(self._path, self._data)
        self._times_ms = accumulate(header.increments_ms)
        self._fps = header.fps
        shape = header.shape if self._square else PixelShape()
        self._pixels = map(shape.applied, _decoded(self._path, self._data, _ToRgb(header)))
        self._first = next(self._pixels, None)
        if self._first is None:
            raise _unreadable(self._path, "it holds no picture")
        height, width = self._first.shape[:2]
        regions = map(shape.moved, header.regions)
        self._regions = tuple(region for region in regions if _inside(region.bbox, width, height))
        self._title = header.title + shape.said
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pixels = iter(())
        self._index = -1

    def read(self) -> Frame | None:
        """Return the next frame, or None after the last."""
        pixels = self._first if self._index == 0 else next(self._pixels, None)
        if pixels is None:
            return None
        t_ms = next(self._times_ms)
        self._pace.wait(t_ms)
        frame = Frame(self._index, t_ms, pixels, self._regions)
        self._index += 1
        return frame


def _pydicom() -> ModuleType:
    try:
        import pydicom
        import pydicom.pixels
    except ModuleNotFoundError as error:
        cure = "install it with: pip install 'echogfr[dicom]'"
        raise SourceError("DICOM files cannot be read", "pydicom is not installed", cure) from error
    return pydicom


def _unreadable(path: Path, because: str) -> SourceError:
    return SourceError(f"{path} cannot be read", because, "check it in a DICOM viewer, or export it again")


@dataclass(frozen=True, slots=True)
class _Header:
    """What a source needs of a DICOM header, read once and checked."""

    dataset: Dataset  # for pydicom's own look-up tables
    title: str
    photometric: str
    bits: int
    window: tuple[float, float] | None  # grey values shown as black and as white
    fps: float | None
    increments_ms: Iterator[float]  # from the frame before; the first is 0
    regions: tuple[ScreenRegion, ...]  # 2D tissue first, as stored; their scale is that of square pixels
    shape: PixelShape


def _header(path: Path, data: bytes | None) -> _Header:
    pydicom = _pydicom()
    if data is None:
        require_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # files of scanners bend the standard in a hundred harmless ways
            dataset = pydicom.dcmread(path if data is None else BytesIO(data), stop_before_pixels=True)
            if "Rows" in dataset and "PhotometricInterpretation" in dataset:
                return _facts(dataset)
    except pydicom.errors.InvalidDicomError:
        raise _unreadable(path, "it is no DICOM file") from None
    except Exception as error:  # boundary to a foreign file: values are parsed late, errors share no base
        raise _unreadable(path, f"its header is damaged ({_first_line(error)})") from error
    raise _unreadable(path, "it holds no picture")


def _facts(dataset: Dataset) -> _Header:
    frames = int(dataset.get("NumberOfFrames") or 1)
    step_ms = _frame_time_ms(dataset)
    vector = [float(step) for step in dataset.get("FrameTimeVector") or ()][1:]
    return _Header(
        dataset=dataset,
        title=f"DICOM {'still' if frames == 1 else 'cine'}, {dataset.get('Manufacturer') or 'unknown maker'}",
        photometric=str(dataset.PhotometricInterpretation),
        bits=int(dataset.get("BitsStored", 8)),
        window=_window(dataset),
        fps=None if frames == 1 else 1000 / step_ms,
        increments_ms=chain([0.0], (max(step, 0.0) for step in vector), repeat(step_ms)),
        regions=_regions(dataset),
        shape=_shape(dataset),
    )


def _decoded(path: Path, data: bytes | None, to_rgb: _ToRgb) -> Iterator[NDArray[np.uint8]]:
    pixels = iter(_pydicom().pixels.iter_pixels(path if data is None else BytesIO(data)))
    while True:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                picture = next(pixels, None)
                rgb = None if picture is None else to_rgb(picture)
        except Exception as error:  # boundary to foreign bytes: each decoder raises its own kind
            raise _unreadable(path, f"its picture cannot be decoded ({_first_line(error)})") from error
        if rgb is None:
            return
        yield rgb


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".:")


class _ToRgb:
    """Turns one decoded frame of any photometric interpretation into uint8 (H, W, 3) RGB."""

    def __init__(self, header: _Header) -> None:
        self._header = header
        self._window = header.window

    def __call__(self, picture: NDArray[np.generic]) -> NDArray[np.uint8]:
        photometric = self._header.photometric
        if photometric in MONOCHROME:
            grey = self._grey(picture)
            grey = 255 - grey if photometric == "MONOCHROME1" else grey
            return frozen(np.repeat(grey[:, :, None], 3, axis=2))
        if photometric == "PALETTE COLOR":
            picture = _pydicom().pixels.apply_color_lut(picture, self._header.dataset)[..., :3]
            # 16-bit tables usually hold the value in the high byte, but some hold 0..255
            return frozen(_shifted(picture, 16 if int(np.max(picture)) > 255 else 8))
        return frozen(_shifted(picture, self._header.bits))

    def _grey(self, picture: NDArray[np.generic]) -> NDArray[np.uint8]:
        if self._header.bits == 8 and picture.dtype == np.uint8:
            return picture.astype(np.uint8, copy=False)
        grey = np.asarray(_pydicom().pixels.apply_modality_lut(picture, self._header.dataset), np.float64)
        low, high = self._window = self._window or (float(grey.min()), float(grey.max()))
        scaled = (grey - low) * (255 / max(high - low, 1e-9))
        return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _shifted(picture: NDArray[np.generic], bits: int) -> NDArray[np.uint8]:
    if bits <= 8:
        return picture.astype(np.uint8)
    return (picture.astype(np.uint32) >> (bits - 8)).astype(np.uint8)


def _window(dataset: Dataset) -> tuple[float, float] | None:
    if "WindowCenter" not in dataset or "WindowWidth" not in dataset:
        return None
    centre, width = (float(np.ravel(dataset[name].value)[0]) for name in ("WindowCenter", "WindowWidth"))
    return centre - width / 2, centre + width / 2


def _frame_time_ms(dataset: Dataset) -> float:
    step_ms = float(dataset.get("FrameTime") or 0)
    for name in ("CineRate", "RecommendedDisplayFrameRate"):
        rate = float(dataset.get(name) or 0)
        if step_ms <= 0 < rate:
            step_ms = 1000 / rate
    return step_ms if math.isfinite(step_ms) and step_ms > 0 else FALLBACK_FRAME_TIME_MS


def _shape(dataset: Dataset) -> PixelShape:
    """Return the shape that the file's first region of 2D tissue gives its pixels, or else its Pixel Aspect Ratio."""
    for item in dataset.get("SequenceOfUltrasoundRegions") or ():
        deltas = _deltas(item)
        tissue = (int(item.get("RegionSpatialFormat") or 0), int(item.get("RegionDataType") or 0)) == TISSUE_2D
        if deltas is not None and tissue:
            return PixelShape(deltas[0] / deltas[1])
    down, across = (float(part) for part in (dataset.get("PixelAspectRatio") or (1, 1)))
    return PixelShape(across / down if down > 0 and across > 0 else 1.0)


def _regions(dataset: Dataset) -> tuple[ScreenRegion, ...]:
    shape, found = _shape(dataset), list[tuple[bool, ScreenRegion]]()
    for item in dataset.get("SequenceOfUltrasoundRegions") or ():
        region = _region(item, shape)
        if region is not None:
            kind = (int(item.get("RegionSpatialFormat") or 0), int(item.get("RegionDataType") or 0))
            found.append((kind != TISSUE_2D, region))
    return tuple(region for _, region in sorted(found, key=lambda entry: entry[0]))


def _region(item: Dataset, shape: PixelShape) -> ScreenRegion | None:
    names = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
    corners = [item.get(name) for name in names]
    if any(corner is None for corner in corners):
        return None
    x0, y0, x1, y1 = (int(corner) for corner in corners)
    return ScreenRegion((x0, y0, x1 + 1, y1 + 1), _px_per_cm(item, shape))


def _deltas(item: Dataset) -> tuple[float, float] | None:
    """Return width and height of a region's pixels, centimetres, where it states both."""
    units = (item.get("PhysicalUnitsXDirection"), item.get("PhysicalUnitsYDirection"))
    across, down = (abs(float(item.get(name) or 0)) for name in ("PhysicalDeltaX", "PhysicalDeltaY"))
    stated = units == (CENTIMETRES, CENTIMETRES) and across > 0 and down > 0
    return (across, down) if stated else None


def _px_per_cm(item: Dataset, shape: PixelShape) -> float | None:
    """Return the scale once the picture's pixels are squares; None where this region's are not even then."""
    deltas = _deltas(item)
    if deltas is None:
        return None
    across, down = deltas
    if shape.square:
        return None if abs(across / down - 1) > SQUARE else 2 / (across + down)
    return 1 / min(across, down) if abs(across / down / shape.width - 1) <= SQUARE else None


def _inside(bbox: tuple[int, int, int, int], width: int, height: int) -> bool:
    """Return False for a region written for another size of the picture: neither its place nor its scale holds."""
    x0, y0, x1, y1 = bbox
    return 0 <= x0 < x1 <= width + 1 and 0 <= y0 < y1 <= height + 1  # + 1: some scanners count the end as outside


def library() -> ModuleType:
    """Return pydicom with its pixel decoders, for those who write files; raises ``SourceError`` without it."""
    return _pydicom()
